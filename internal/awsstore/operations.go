package awsstore

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// table, sender and teller are the calls that are made here, apart from their
// clients: what can be reached from an interface is linked with all its methods, if
// anything in the program finds methods by name, as the expressions of rules do.
type (
	table struct {
		BatchGetItem       operation[dynamodb.Options, dynamodb.BatchGetItemInput, dynamodb.BatchGetItemOutput]
		DeleteItem         operation[dynamodb.Options, dynamodb.DeleteItemInput, dynamodb.DeleteItemOutput]
		DescribeTable      operation[dynamodb.Options, dynamodb.DescribeTableInput, dynamodb.DescribeTableOutput]
		GetItem            operation[dynamodb.Options, dynamodb.GetItemInput, dynamodb.GetItemOutput]
		PutItem            operation[dynamodb.Options, dynamodb.PutItemInput, dynamodb.PutItemOutput]
		Query              operation[dynamodb.Options, dynamodb.QueryInput, dynamodb.QueryOutput]
		TransactWriteItems operation[dynamodb.Options, dynamodb.TransactWriteItemsInput, dynamodb.TransactWriteItemsOutput]
		UpdateItem         operation[dynamodb.Options, dynamodb.UpdateItemInput, dynamodb.UpdateItemOutput]
	}
	sender struct {
		GetQueueUrl      operation[sqs.Options, sqs.GetQueueUrlInput, sqs.GetQueueUrlOutput]
		SendMessageBatch operation[sqs.Options, sqs.SendMessageBatchInput, sqs.SendMessageBatchOutput]
	}
	teller struct {
		GetCallerIdentity operation[sts.Options, sts.GetCallerIdentityInput, sts.GetCallerIdentityOutput]
	}
)

type operation[Options, In, Out any] func(context.Context, *In, ...func(*Options)) (*Out, error)

func tableOf(c *dynamodb.Client) table {
	return table{
		BatchGetItem: c.BatchGetItem, DeleteItem: c.DeleteItem, DescribeTable: c.DescribeTable, GetItem: c.GetItem,
		PutItem: c.PutItem, Query: c.Query, TransactWriteItems: c.TransactWriteItems, UpdateItem: c.UpdateItem,
	}
}
