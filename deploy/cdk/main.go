// Command cdk deploys connectroster to AWS without a server: API Gateway takes
// Okta's deliveries, Lambda does the work, DynamoDB keeps what must not be lost,
// and SQS wakes workers. It reads connectroster.yaml, which travels to the functions
// as it is, and connectroster.lock.json, which says what their roles may give to
// agents. docs/aws.md describes what comes of it.
package main

import (
	"fmt"
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

func main() {
	err := run()
	jsii.Close()
	if err != nil {
		fmt.Fprintln(os.Stderr, "connectroster deployment: "+err.Error())
		os.Exit(1)
	}
}

func run() error {
	app := awscdk.NewApp(nil)
	settings, err := settingsFrom(func(key string) string {
		if text, ok := app.Node().TryGetContext(jsii.String(key)).(string); ok {
			return text
		}
		return ""
	})
	if err != nil {
		return err
	}
	defer settings.close()
	newStack(app, settings)
	app.Synth(nil)
	return nil
}
