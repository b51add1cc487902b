package main

import (
	"encoding/json"
	"maps"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2integrations"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"
)

// hookPaths are where Okta's deliveries are taken: ours, which goes into ApiUrl, and
// that of the AWS sample.
var hookPaths = []string{"/hooks/okta", "/create_user"}

// accessLog is what is kept of a request. It tells nothing of people: no address of
// the caller, which of somebody who probes may be a person's; no path and no query
// string, which may hold anything; no header and no body.
var accessLog = map[string]string{
	"time":      "$context.requestTime",
	"request":   "$context.requestId",
	"route":     "$context.routeKey",
	"status":    "$context.status",
	"length":    "$context.responseLength",
	"took":      "$context.responseLatency",
	"waited":    "$context.integrationLatency",
	"faultType": "$context.error.responseType",
}

// addAPI makes the address that Okta calls.
func (s *stack) addAPI() {
	api := awsapigatewayv2.NewHttpApi(s.Stack, jsii.String("Api"), &awsapigatewayv2.HttpApiProps{
		ApiName:            jsii.String(s.lock.resource("")),
		Description:        jsii.String("connectroster " + s.lock.Deployment + ": deliveries of Okta's event hook"),
		CreateDefaultStage: jsii.Bool(false),
	})
	integration := awsapigatewayv2integrations.NewHttpLambdaIntegration(jsii.String("Hook"), s.hook.Function, nil)
	for _, path := range hookPaths {
		api.AddRoutes(&awsapigatewayv2.AddRoutesOptions{
			Path: jsii.String(path), Integration: integration,
			Methods: &[]awsapigatewayv2.HttpMethod{awsapigatewayv2.HttpMethod_GET, awsapigatewayv2.HttpMethod_POST},
		})
	}
	stage := awsapigatewayv2.NewHttpStage(s.Stack, jsii.String("Stage"), &awsapigatewayv2.HttpStageProps{
		HttpApi: api, StageName: jsii.String("$default"), AutoDeploy: jsii.Bool(true),
		// Okta does not send what was refused again, so this is far above what an org
		// sends; it keeps a flood of strangers from costing much.
		Throttle: &awsapigatewayv2.ThrottleSettings{RateLimit: jsii.Number(50), BurstLimit: jsii.Number(100)},
	})
	log := awslogs.NewLogGroup(s.Stack, jsii.String("ApiLog"), &awslogs.LogGroupProps{
		LogGroupName: jsii.String("/aws/vendedlogs/connectroster/" + s.lock.Deployment + "/api"), Retention: logRetention(s.logDays), RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
	})
	fields := maps.Clone(accessLog)
	fields[metricDimension] = s.lock.Deployment
	format, err := json.Marshal(fields)
	if err != nil {
		panic(err) // it holds text alone
	}
	// What the gateway takes no more, since there is too much of it, never comes to the
	// function, which counts the other deliveries that are lost.
	log.AddMetricFilter(jsii.String("Throttled"), &awslogs.MetricFilterOptions{
		FilterPattern:   awslogs.FilterPattern_StringValue(jsii.String("$.status"), jsii.String("="), jsii.String("429")),
		MetricNamespace: jsii.String(metricNamespace), MetricName: jsii.String(metricRefused), MetricValue: jsii.String("1"),
		Dimensions: &map[string]*string{metricDimension: jsii.String("$." + metricDimension)},
	})
	stage.Node().DefaultChild().(awsapigatewayv2.CfnStage).SetAccessLogSettings(&awsapigatewayv2.CfnStage_AccessLogSettingsProperty{
		DestinationArn: log.LogGroupArn(), Format: jsii.String(string(format)),
	})
	s.api = api
	s.output("ApiUrl", jsii.String(*api.ApiEndpoint()+hookPaths[0]), "The address to enter at the event hook in Okta")
}
