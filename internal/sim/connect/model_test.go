package connect

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// model is AWS's own description of the user operations.
type model struct {
	Operations map[string]modelOperation
	Shapes     map[string]shape
}

type modelOperation struct {
	HTTP struct {
		Method     string `json:"method"`
		RequestURI string `json:"requestUri"`
	} `json:"http"`
	Input, Output reference
	Errors        []reference
}

type reference struct {
	Shape        string `json:"shape"`
	Location     string `json:"location"`
	LocationName string `json:"locationName"`
}

type shape struct {
	Type       string
	Members    map[string]reference
	Required   []string
	Member     reference
	Key, Value reference
	Min, Max   *float64
	Pattern    string
	Enum       []string
	Union      bool
	Error      struct{ HTTPStatusCode int }
}

const noSpec = "CONNECTROSTER_SPEC is unset: the answers are not held to AWS's model of the user operations"

// loadModel reads the model, or returns nil when no spec folder is named.
func loadModel(t *testing.T) *model {
	t.Helper()
	dir := os.Getenv("CONNECTROSTER_SPEC")
	if dir == "" {
		return nil
	}
	data, err := os.ReadFile(filepath.Join(dir, "connect-users-model.json"))
	if err != nil {
		t.Fatal(err)
	}
	m := new(model)
	if err := json.Unmarshal(data, m); err != nil {
		t.Fatal(err)
	}
	return m
}

// judge holds everything a simulator answered to the model.
func (w *world) judge(t *testing.T) {
	t.Helper()
	m := loadModel(t)
	if m == nil {
		return
	}
	for _, x := range w.tape.all() {
		for _, fault := range m.faults(x) {
			t.Errorf("%s %s -> %d: %s\nrequest: %s\nanswer: %s", x.method, x.path, x.status, fault, x.request, x.response)
		}
	}
}

// extras are refusals that the documents or the field know and the model does
// not declare for every operation.
var extras = map[string][]int{
	"AccessDeniedException":               {403},
	"TooManyRequestsException":            {429},
	"SerializationException":              {400},
	"UnknownOperationException":           {404, 405},
	"RequestEntityTooLargeException":      {413},
	"MissingAuthenticationTokenException": {403},
	"IncompleteSignatureException":        {403},
	"InvalidSignatureException":           {403},
}

// faults lists what the model has against an exchange. Requests are held to it
// only when they were accepted.
func (m *model) faults(x exchange) []string {
	if strings.HasPrefix(x.path, "/_sim/") {
		return nil
	}
	var f findings
	code := x.header.Get("X-Amzn-Errortype")
	name, op, path := m.route(x)
	if x.header.Get("X-Amzn-Requestid") == "" {
		f.add("answer", "has no request id")
	}
	switch {
	case name == "" && unmodelled(x):
	case name == "" && code != "UnknownOperationException":
		f.add("route", "is none of the model, yet answered %q", code)
	case code != "":
		m.refusal(&f, op, x, code)
	case x.status != http.StatusOK:
		f.add("answer", "has status %d and no error code", x.status)
	default:
		m.request(&f, op, x, path)
		m.response(&f, op, x)
	}
	return f
}

// unmodelled says whether an exchange is of an operation that the part of AWS's
// model at hand lacks. boto3, which has all of it, judges those.
func unmodelled(x exchange) bool {
	for _, path := range []string{"/search-predefined-attributes", "/search-quick-connects", "/search-resource-tags", "/security-profiles-permissions/"} {
		if strings.HasPrefix(x.path, path) {
			return true
		}
	}
	return false
}

type findings []string

func (f *findings) add(where, format string, args ...any) {
	*f = append(*f, where+" "+fmt.Sprintf(format, args...))
}

// route finds the operation of an exchange and the values of its path.
func (m *model) route(x exchange) (string, modelOperation, map[string]string) {
	segments := strings.Split(x.path, "/")
	for name, op := range m.Operations {
		template := strings.Split(op.HTTP.RequestURI, "/")
		if op.HTTP.Method != x.method || len(template) != len(segments) {
			continue
		}
		values := make(map[string]string)
		fits := true
		for i, part := range template {
			if label, ok := strings.CutPrefix(part, "{"); ok {
				v, err := url.PathUnescape(segments[i])
				fits = fits && err == nil && v != ""
				values[strings.TrimSuffix(label, "}")] = v
			} else {
				fits = fits && part == segments[i]
			}
		}
		if fits {
			return name, op, values
		}
	}
	return "", modelOperation{}, nil
}

func (m *model) refusal(f *findings, op modelOperation, x exchange, code string) {
	declared := slices.ContainsFunc(op.Errors, func(r reference) bool {
		return r.Shape == code && m.Shapes[code].Error.HTTPStatusCode == x.status
	})
	if !declared && !slices.Contains(extras[code], x.status) {
		f.add("error", "%s with status %d is not declared", code, x.status)
	}
	var body map[string]any
	if err := json.Unmarshal(x.response, &body); err != nil {
		f.add("error", "body is not JSON: %v", err)
	} else if _, ok := body["Message"].(string); !ok || len(body) != 1 {
		f.add("error", "body is not a Message alone")
	}
}

func (m *model) request(f *findings, op modelOperation, x exchange, path map[string]string) {
	body := map[string]any{}
	if len(x.request) > 0 {
		if err := json.Unmarshal(x.request, &body); err != nil {
			f.add("request", "is not a JSON object: %v", err)
		}
	}
	input := m.Shapes[op.Input.Shape]
	members := make(map[string]any)
	for name, ref := range input.Members {
		wire := ref.LocationName
		if wire == "" {
			wire = name
		}
		switch ref.Location {
		case "uri":
			if v, ok := path[wire]; ok {
				members[name] = v
			}
		case "querystring":
			if v, ok := x.query[wire]; ok {
				members[name] = m.queryValue(ref, v)
			}
		default:
			if v, ok := body[wire]; ok {
				members[name] = v
			}
		}
	}
	m.structure(f, "request", input, members, false)
}

func (m *model) queryValue(ref reference, values []string) any {
	switch m.Shapes[ref.Shape].Type {
	case "list":
		list := make([]any, len(values))
		for i, v := range values {
			list[i] = v
		}
		return list
	case "integer":
		if n, err := strconv.ParseFloat(values[0], 64); err == nil {
			return n
		}
	}
	return values[0]
}

func (m *model) response(f *findings, op modelOperation, x exchange) {
	if op.Output.Shape == "" {
		if len(x.response) != 0 {
			f.add("answer", "has a body and should have none")
		}
		return
	}
	var body map[string]any
	if err := json.Unmarshal(x.response, &body); err != nil {
		f.add("answer", "is not a JSON object: %v", err)
		return
	}
	m.structure(f, "answer", m.Shapes[op.Output.Shape], body, true)
}

// structure checks the members of a structure; strange says whether members
// unknown to the model are wrong.
func (m *model) structure(f *findings, where string, s shape, v map[string]any, strange bool) {
	for _, name := range s.Required {
		if v[name] == nil {
			f.add(where, "lacks %s", name)
		}
	}
	if s.Union && len(v) != 1 {
		f.add(where, "is a union with %d members", len(v))
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		ref, ok := s.Members[name]
		switch {
		case ok && v[name] != nil:
			m.value(f, where+"."+name, ref.Shape, v[name], strange)
		case ok && strange:
			f.add(where, "has a null %s", name)
		case !ok && strange:
			f.add(where, "has %s, which the model does not know", name)
		}
	}
}

func (m *model) value(f *findings, where, name string, v any, strange bool) {
	s := m.Shapes[name]
	var length float64
	switch s.Type {
	case "structure":
		object, ok := v.(map[string]any)
		if !ok {
			f.add(where, "is no object")
			return
		}
		m.structure(f, where, s, object, strange)
		return
	case "list":
		list, ok := v.([]any)
		if !ok {
			f.add(where, "is no list")
			return
		}
		for i, item := range list {
			m.value(f, where+"["+strconv.Itoa(i)+"]", s.Member.Shape, item, strange)
		}
		length = float64(len(list))
	case "map":
		object, ok := v.(map[string]any)
		if !ok {
			f.add(where, "is no map")
			return
		}
		for k, item := range object {
			m.value(f, where+" key", s.Key.Shape, k, strange)
			m.value(f, where+"["+k+"]", s.Value.Shape, item, strange)
		}
		length = float64(len(object))
	case "string":
		text, ok := v.(string)
		if !ok {
			f.add(where, "is no string")
			return
		}
		m.text(f, where, name, s, text)
		length = float64(utf8.RuneCountInString(text))
	case "integer", "long":
		n, ok := v.(float64)
		if !ok || n != math.Trunc(n) {
			f.add(where, "is no integer")
			return
		}
		length = n
	case "float":
		n, ok := v.(float64)
		if !ok {
			f.add(where, "is no number")
			return
		}
		length = n
	case "boolean":
		if _, ok := v.(bool); !ok {
			f.add(where, "is no boolean")
		}
		return
	case "timestamp":
		n, ok := v.(float64)
		if !ok || n < 1e9 || n > 1e10 {
			f.add(where, "is no time in epoch seconds")
		}
		return
	default:
		f.add(where, "has the type %q, which the judge does not know", s.Type)
		return
	}
	if s.Min != nil && length < *s.Min || s.Max != nil && length > *s.Max {
		f.add(where, "is out of range")
	}
}

// text checks enums and patterns. Two patterns need look-ahead, which Go has
// not, and one is escaped twice in the model; they are written here by hand.
func (m *model) text(f *findings, where, name string, s shape, v string) {
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, v) {
		f.add(where, "is none of %v", s.Enum)
	}
	pattern := s.Pattern
	switch name {
	case "TagKey":
		if strings.HasPrefix(v, "aws:") {
			f.add(where, "begins with aws:")
		}
		pattern = `^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`
	case "DirectoryAlias":
		pattern = `^[\da-zA-Z]+([-]*[\da-zA-Z])*$`
	case "PhoneNumber":
		pattern = `^\+[1-9]\d{1,14}$`
	case "Password":
		pattern = `^\S{8,64}$`
	}
	if pattern == "" {
		return
	}
	if !regexp.MustCompile(pattern).MatchString(v) {
		f.add(where, "does not match %s", pattern)
	}
}

// TestTableIsInTheModel compares the simulator's table with AWS's.
func TestTableIsInTheModel(t *testing.T) {
	t.Parallel()
	m := loadModel(t)
	if m == nil {
		t.Skip(noSpec)
	}
	for _, o := range operations() {
		op, ok := m.Operations[o.name]
		if !ok {
			t.Logf("%s is not in the model, so nothing judges it", o.name)
			continue
		}
		if op.HTTP.Method != o.method || op.HTTP.RequestURI != o.path {
			t.Errorf("%s is %s %s, the model says %s %s", o.name, o.method, o.path, op.HTTP.Method, op.HTTP.RequestURI)
		}
		declares := func(code string) bool {
			return slices.ContainsFunc(op.Errors, func(r reference) bool { return r.Shape == code })
		}
		if declares(codeInvalidParameter) == o.plain || declares(codeThrottling) == o.plain {
			t.Errorf("%s: plain is %v, the model declares %v", o.name, o.plain, op.Errors)
		}
	}
}

// TestJudgeFindsFaults feeds the judge wrong answers.
func TestJudgeFindsFaults(t *testing.T) {
	t.Parallel()
	m := loadModel(t)
	if m == nil {
		t.Skip(noSpec)
	}
	ok := http.Header{"X-Amzn-Requestid": {"1"}}
	refused := func(code string) http.Header {
		return http.Header{"X-Amzn-Requestid": {"1"}, "X-Amzn-Errortype": {code}}
	}
	const describe = "/users/i/u"
	user := func(inner string) []byte { return []byte(`{"User":{` + inner + `}}`) }
	create := `{"Username":"ana","SecurityProfileIds":["a"],"RoutingProfileId":"r"%s}`
	for _, c := range []struct {
		name string
		x    exchange
		want string // part of the first finding, "" for none
	}{
		{"right", exchange{"GET", describe, nil, nil, 200, ok, user(`"Id":"u","Username":"ana"`)}, ""},
		{"right refusal", exchange{"GET", describe, nil, nil, 404, refused("ResourceNotFoundException"), []byte(`{"Message":"no"}`)}, ""},
		{"unknown route", exchange{"GET", "/nothing", nil, nil, 200, ok, nil}, "is none of the model"},
		{"no request id", exchange{"GET", describe, nil, nil, 200, nil, user("")}, "has no request id"},
		{"unknown member", exchange{"GET", describe, nil, nil, 200, ok, user(`"Login":"ana"`)}, "has Login"},
		{"wrong type", exchange{"GET", describe, nil, nil, 200, ok, user(`"Username":7`)}, "is no string"},
		{"too long", exchange{"GET", describe, nil, nil, 200, ok, user(`"Username":"` + strings.Repeat("a", 101) + `"`)}, "is out of range"},
		{"empty tags", exchange{"GET", describe, nil, nil, 200, ok, user(`"Tags":{}`)}, "is out of range"},
		{"reserved tag", exchange{"GET", describe, nil, nil, 200, ok, user(`"Tags":{"aws:x":""}`)}, "begins with aws:"},
		{"wrong enum", exchange{"GET", describe, nil, nil, 200, ok, user(`"PhoneConfig":{"PhoneType":"SOFT"}`)}, "is none of [SOFT_PHONE"},
		{"wrong pattern", exchange{"GET", describe, nil, nil, 200, ok, user(`"LastModifiedRegion":"Mars"`)}, "does not match"},
		{"time as text", exchange{"GET", describe, nil, nil, 200, ok, user(`"LastModifiedTime":"2026-01-01T00:00:00Z"`)}, "is no time"},
		{"time in ms", exchange{"GET", describe, nil, nil, 200, ok, user(`"LastModifiedTime":1700000000500`)}, "is no time"},
		{"two of a union", exchange{"GET", "/predefined-attributes/i/n", nil, nil, 200, ok, []byte(`{"PredefinedAttribute":{"Values":{}}}`)}, "is a union with 0 members"},
		{"level too high", exchange{"GET", describe + "/proficiencies", nil, nil, 200, ok, []byte(`{"UserProficiencyList":[{"AttributeName":"a","AttributeValue":"b","Level":5.5}]}`)}, "is out of range"},
		{"lacks required", exchange{"GET", describe, nil, nil, 200, ok, user(`"AutoAcceptConfigs":[{"Channel":"VOICE"}]`)}, "lacks AutoAccept"},
		{"body of none", exchange{"DELETE", describe, nil, nil, 200, ok, []byte(`{}`)}, "should have none"},
		{"accepted too much", exchange{"PUT", "/users/i", nil, fmt.Appendf(nil, create, `,"Tags":{}`), 200, ok, []byte(`{}`)}, "is out of range"},
		{"accepted too little", exchange{"PUT", "/users/i", nil, []byte(`{}`), 200, ok, []byte(`{}`)}, "lacks Username"},
		{"undeclared error", exchange{"GET", describe, nil, nil, 409, refused("DuplicateResourceException"), []byte(`{"Message":"no"}`)}, "not declared"},
		{"wrong status", exchange{"GET", describe, nil, nil, 400, refused("ResourceNotFoundException"), []byte(`{"Message":"no"}`)}, "not declared"},
		{"error without message", exchange{"GET", describe, nil, nil, 404, refused("ResourceNotFoundException"), []byte(`{}`)}, "Message alone"},
		{"status without code", exchange{"GET", describe, nil, nil, 500, ok, nil}, "no error code"},
		{"page too long", exchange{"GET", "/users-summary/i", map[string][]string{"maxResults": {"1001"}}, nil, 200, ok, []byte(`{}`)}, "is out of range"},
	} {
		found := m.faults(c.x)
		if c.want == "" && len(found) > 0 || c.want != "" && (len(found) == 0 || !strings.Contains(found[0], c.want)) {
			t.Errorf("%s: found %q, want %q", c.name, found, c.want)
		}
	}
}
