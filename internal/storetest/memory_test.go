package storetest_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"connectroster/internal/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(_ *testing.T, now func() time.Time) storetest.Backend { return storetest.NewMemory(now) })
}
