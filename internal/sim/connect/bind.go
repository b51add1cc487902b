package connect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxBody is the largest request body read, in bytes.
const maxBody = 1 << 20

// readObject reads the JSON object in a request body. No body is an empty
// object. Member names keep their case: the service tells them apart.
func readObject(w http.ResponseWriter, r *http.Request) (map[string]any, error) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooBig := new(http.MaxBytesError); errors.As(err, &tooBig) {
		return nil, fail(http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException",
			"the body is larger than %d bytes", maxBody)
	}
	if err != nil {
		return nil, malformed("read the body: %v", err)
	}
	return parseObject(data)
}

func parseObject(data []byte) (map[string]any, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return map[string]any{}, nil
	}
	if !utf8.Valid(data) {
		return nil, malformed("the body is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, malformed("the body is not JSON: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, malformed("the body goes on after its JSON value")
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, malformed("the body is not a JSON object")
	}
	return object, nil
}

// bind fills the struct that in points to from the path, the query and the
// body, and checks what the service model says about each member. Tags:
//
//	uri:"InstanceId"    the member is a path segment
//	query:"maxResults"  the member is a query parameter; a slice takes all values
//	json:"Username"     the member stands in the body
//	wire:"required,min=1,max=100,enum=A|B,check=phone"
//
// min and max hold for the length of strings (in characters), lists and maps
// and for the value of numbers; enum for each string of a list.
func bind(r *http.Request, body map[string]any, in any) error {
	return bindInput(r, body, reflect.ValueOf(in).Elem())
}

func bindInput(r *http.Request, body map[string]any, v reflect.Value) error {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous {
			if err := bindInput(r, body, v.Field(i)); err != nil {
				return err
			}
			continue
		}
		name, value, present := member(r, body, f)
		if err := bindMember(name, value, present, f, v.Field(i)); err != nil {
			return err
		}
	}
	return nil
}

// member finds the value of one field of an input.
func member(r *http.Request, body map[string]any, f reflect.StructField) (name string, value any, present bool) {
	if name := f.Tag.Get("uri"); name != "" {
		return name, r.PathValue(name), true
	}
	if name := f.Tag.Get("query"); name != "" {
		values := r.URL.Query()[name]
		if len(values) == 0 || f.Type.Kind() != reflect.Slice && values[0] == "" {
			return name, nil, false
		}
		if f.Type.Kind() != reflect.Slice {
			return name, queryValue(f.Type, values[0]), true
		}
		list := make([]any, len(values))
		for i, s := range values {
			list[i] = s
		}
		return name, list, true
	}
	name = jsonName(f)
	value = body[name]
	return name, value, value != nil
}

// queryValue turns a query parameter into what JSON would have given.
func queryValue(t reflect.Type, s string) any {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Int {
		return json.Number(s)
	}
	return s
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return defaultTo(name, f.Name)
}

func bindMember(name string, value any, present bool, f reflect.StructField, into reflect.Value) error {
	rules := f.Tag.Get("wire")
	if !present {
		if slices.Contains(strings.Split(rules, ","), "required") {
			return missing(name)
		}
		return nil
	}
	if err := bindValue(name, value, into); err != nil {
		return err
	}
	if into.Kind() == reflect.Pointer {
		into = into.Elem()
	}
	return checkRules(name, rules, into)
}

func bindValue(name string, value any, into reflect.Value) error {
	wrong := func(want string) error { return malformed("%s must be %s", name, want) }
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		return bindValue(name, value, into.Elem())
	case reflect.String:
		s, ok := value.(string)
		if !ok {
			return wrong("a string")
		}
		into.SetString(s)
	case reflect.Bool:
		b, ok := value.(bool)
		if !ok {
			return wrong("a boolean")
		}
		into.SetBool(b)
	case reflect.Int:
		number, ok := value.(json.Number)
		if !ok {
			return wrong("an integer")
		}
		n, err := strconv.ParseInt(number.String(), 10, 64)
		if err != nil || n < math.MinInt32 || n > math.MaxInt32 {
			return wrong("a 32-bit integer")
		}
		into.SetInt(n)
	case reflect.Float64:
		number, ok := value.(json.Number)
		if !ok {
			return wrong("a number")
		}
		f, err := number.Float64()
		if err != nil {
			return wrong("a number")
		}
		into.SetFloat(f)
	case reflect.Struct:
		object, ok := value.(map[string]any)
		if !ok {
			return wrong("an object")
		}
		return bindObject(name, object, into)
	case reflect.Slice:
		list, ok := value.([]any)
		if !ok {
			return wrong("a list")
		}
		return bindList(name, list, into)
	case reflect.Map:
		object, ok := value.(map[string]any)
		if !ok {
			return wrong("an object")
		}
		return bindMap(name, object, into)
	default:
		return fmt.Errorf("bind %s: no rule for %s", name, into.Type())
	}
	return nil
}

func bindObject(name string, object map[string]any, into reflect.Value) error {
	for i := range into.NumField() {
		f := into.Type().Field(i)
		value := object[jsonName(f)]
		if err := bindMember(name+"."+jsonName(f), value, value != nil, f, into.Field(i)); err != nil {
			return err
		}
	}
	return nil
}

func bindList(name string, list []any, into reflect.Value) error {
	into.Set(reflect.MakeSlice(into.Type(), len(list), len(list)))
	for i, value := range list {
		if err := bindValue(name+"."+strconv.Itoa(i+1), value, into.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func bindMap(name string, object map[string]any, into reflect.Value) error {
	into.Set(reflect.MakeMapWithSize(into.Type(), len(object)))
	for k, value := range object {
		v := reflect.New(into.Type().Elem()).Elem()
		if err := bindValue(name+"."+k, value, v); err != nil {
			return err
		}
		into.SetMapIndex(reflect.ValueOf(k), v)
	}
	return nil
}

func checkRules(name, rules string, v reflect.Value) error {
	for rule := range strings.SplitSeq(rules, ",") {
		kind, arg, _ := strings.Cut(rule, "=")
		bound, _ := strconv.ParseFloat(arg, 64)
		switch kind {
		case "min":
			if size(v) < bound {
				return violated(name, "must be at least %s", arg)
			}
		case "max":
			if size(v) > bound {
				return violated(name, "must be at most %s", arg)
			}
		case "enum":
			if !oneOf(v, strings.Split(arg, "|")) {
				return violated(name, "must be one of %s", arg)
			}
		case "check":
			if err := checkFormat(name, arg, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// oneOf says whether a string, or each string of a list, is one of words.
func oneOf(v reflect.Value, words []string) bool {
	if v.Kind() != reflect.Slice {
		return slices.Contains(words, v.String())
	}
	for i := range v.Len() {
		if !slices.Contains(words, v.Index(i).String()) {
			return false
		}
	}
	return true
}

// size is what min and max speak of.
func size(v reflect.Value) float64 {
	switch v.Kind() {
	case reflect.Int:
		return float64(v.Int())
	case reflect.Float64:
		return v.Float()
	case reflect.String:
		return float64(utf8.RuneCountInString(v.String()))
	default:
		return float64(v.Len())
	}
}

// Formats the service model writes as regular expressions. Those for the
// secondary e-mail and the phone numbers are the documented intent: the model
// escapes one of them twice.
var (
	phoneFormat  = regexp.MustCompile(`^\+[1-9]\d{1,14}$`)
	emailFormat  = regexp.MustCompile(`^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,63}$`)
	tagKeyFormat = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
)

func checkFormat(name, format string, v reflect.Value) error {
	switch format {
	case "phone":
		if !phoneFormat.MatchString(v.String()) {
			return violated(name, "must be a phone number in E.164 form")
		}
	case "email":
		if len(v.String()) > 265 || !emailFormat.MatchString(v.String()) {
			return violated(name, "must be an e-mail address")
		}
	case "tags":
		for k, value := range v.Interface().(map[string]string) {
			if err := checkTagKey(name, k); err != nil {
				return err
			}
			if utf8.RuneCountInString(value) > 256 {
				return violated(name+"."+k, "must be at most 256")
			}
		}
	case "tagkeys":
		for _, k := range v.Interface().([]string) {
			if err := checkTagKey(name, k); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkTagKey(name, key string) error {
	n := utf8.RuneCountInString(key)
	if n < 1 || n > 128 || strings.HasPrefix(key, "aws:") || !tagKeyFormat.MatchString(key) {
		return violated(name, "must have keys of 1 to 128 letters, digits, spaces and _.:/=+-@ that do not begin with aws:")
	}
	return nil
}
