package connect

// instanceSummary is the instance itself, as both its operations show it.
type instanceSummary struct {
	ID                     string `json:"Id"`
	ARN                    string `json:"Arn"`
	IdentityManagementType string
	InstanceAlias          string
	CreatedTime            Epoch
	ServiceRole            string
	InstanceStatus         string
	InboundCallsEnabled    bool
	OutboundCallsEnabled   bool
	InstanceAccessURL      string `json:"InstanceAccessUrl"`
}

func (in *Instance) summary() instanceSummary {
	return instanceSummary{
		ID: in.id, ARN: in.ARN(),
		IdentityManagementType: in.settings.IdentityType,
		InstanceAlias:          in.alias,
		CreatedTime:            Epoch{in.created},
		ServiceRole:            "arn:aws:iam::" + in.account + ":role/aws-service-role/connect.amazonaws.com/AWSServiceRoleForAmazonConnect",
		InstanceStatus:         "ACTIVE",
		InboundCallsEnabled:    true,
		OutboundCallsEnabled:   true,
		InstanceAccessURL:      "https://" + in.alias + ".my.connect.aws",
	}
}

type listInstancesInput struct {
	NextToken  *string `query:"nextToken"`
	MaxResults *int    `query:"maxResults" wire:"min=1,max=10"`
}

func (in *Instance) listInstances(c *call, input *listInstancesInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if _, _, _, err := in.page(c, []int64{1}, input.NextToken, input.MaxResults); err != nil {
		return nil, err
	}
	return struct{ InstanceSummaryList []instanceSummary }{[]instanceSummary{in.summary()}}, nil
}

type describeInstanceInput struct {
	InstanceID string `uri:"InstanceId" wire:"min=1,max=100"`
}

func (in *Instance) describeInstance(_ *call, input *describeInstanceInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.isThis(input.InstanceID) {
		return nil, notFound("The instance does not exist")
	}
	return struct{ Instance instanceSummary }{in.summary()}, nil
}
