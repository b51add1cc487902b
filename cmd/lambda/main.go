// Command lambda is connectroster as functions of AWS Lambda, one program for all of
// them: the name of its handler says which one it is. It translates between the
// events of AWS and package app, and holds nothing that must not be lost: all of
// that is in the store.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	p, err := load(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, "connectroster: "+err.Error())
		os.Exit(1)
	}
	ctx, cancel := context.WithCancel(context.Background())
	lambda.StartWithOptions(p, lambda.WithContext(ctx), lambda.WithEnableSIGTERM(func() {
		cancel()
		p.stop()
		os.Exit(0)
	}))
}

// logger writes lines of JSON, which CloudWatch can be asked about.
func logger(level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}
