package connect

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/aws/smithy-go/logging"
)

// sdkLog puts what the AWS SDK has to say into our log, which it else writes to the
// standard error output in a form of its own.
type sdkLog struct{ log *slog.Logger }

// Logf implements logging.Logger.
func (l sdkLog) Logf(class logging.Classification, format string, v ...any) {
	say := l.log.Warn
	if class == logging.Debug {
		say = l.log.Debug
	}
	say("the AWS SDK has something to say", "text", strings.TrimSpace(fmt.Sprintf(format, v...)))
}
