package connect

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// explicit sees to it that a limit of 0 for after-contact work, which means
// without limit, is in the request. AWS's client leaves it out, so that the
// service gets an empty AfterContactWorkConfig, of which nothing is documented;
// clients in other languages send the 0. The same goes for what is false or 0
// in PhoneConfig.
func explicit(stack *middleware.Stack) error {
	return stack.Serialize.Add(middleware.SerializeMiddlewareFunc("ExplicitZero",
		func(ctx context.Context, in middleware.SerializeInput, next middleware.SerializeHandler) (middleware.SerializeOutput, middleware.Metadata, error) {
			switch awsmiddleware.GetOperationName(ctx) {
			case "CreateUser", "UpdateUserConfig":
				request, ok := in.Request.(*smithyhttp.Request)
				if !ok {
					break
				}
				filled, err := fillZeros(request)
				if err != nil {
					return middleware.SerializeOutput{}, middleware.Metadata{}, &unsent{0, fmt.Errorf("write a limit of 0 into the request: %w", err)}
				}
				in.Request = filled
			}
			return next.HandleSerialize(ctx, in)
		}), middleware.After)
}

func fillZeros(request *smithyhttp.Request) (*smithyhttp.Request, error) {
	stream := request.GetStream()
	if stream == nil {
		return request, nil
	}
	decoder := json.NewDecoder(stream)
	decoder.UseNumber()
	var body map[string]any
	if err := decoder.Decode(&body); err == io.EOF {
		return request, nil
	} else if err != nil {
		return nil, err
	}
	const limit = "AfterContactWorkTimeLimit"
	fill := func(v any, name string, zero any) {
		if object, ok := v.(map[string]any); ok && object[name] == nil {
			object[name] = zero
		}
	}
	fill(body["PhoneConfig"], limit, 0)
	fill(body["PhoneConfig"], "AutoAccept", false)
	list, _ := body["AfterContactWorkConfigs"].([]any)
	for _, entry := range list {
		if object, ok := entry.(map[string]any); ok {
			fill(object["AfterContactWorkConfig"], limit, 0)
			fill(object["AgentFirstCallbackAfterContactWorkConfig"], limit, 0)
		}
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return request.SetStream(bytes.NewReader(text))
}
