package okta_test

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"connectroster/internal/okta"
	"connectroster/internal/reconcile"
)

// positions are where a hostile value is put. Values without fault leave the
// status and the number of requests that stand beside each.
func positions() []struct {
	name, before, after string
	status, requests    int
} {
	good := joined(userID, "ana@example.com", "Ana Silva")
	split := func(s string) (string, string) {
		before, after, _ := strings.Cut(s, "HERE")
		return before, after
	}
	list := []struct {
		name, before, after string
		status, requests    int
	}{
		{name: "bare", status: 400},
		{name: "envelope", status: 204, requests: 1},
		{name: "data", status: 400},
		{name: "element", status: 204, requests: 1},
		{name: "skipped part of an event", status: 204, requests: 1},
		{name: "target", status: 204, requests: 1},
	}
	for i, s := range []string{
		`HERE`,
		`{"x":HERE,"data":{"events":[` + good + `]}}`,
		`{"data":HERE}`,
		`{"data":{"events":[` + good + `,HERE]}}`,
		`{"data":{"events":[` + strings.Replace(good, `{`, `{"client":HERE,`, 1) + `]}}`,
		`{"data":{"events":[` + good + `,{"eventType":"group.user_membership.add","target":HERE}]}}`,
	} {
		list[i].before, list[i].after = split(s)
	}
	return list
}

// sound are values that every reader of JSON must take.
func sound() []string {
	values := []string{
		`[]`, `{}`, `[[]   ]`, `[""]`, `0`, `-0`, `-1`, `123`, `1.5`, `1E5`, `1e-5`, `-0.0e+1`, `123e65`, `0e1`, `20e1`, `1.5e+9999`,
		`1e400`, `-1e400`, `1e-400`, `123123123123123123123123123123`, `-0.` + strings.Repeat("0", 80) + `1`, `true`, `false`, `null`, `[null]`, `[1,null,null,null,2]`,
		`"a"`, `" "`, `"\""`, `"\\"`, `"\/"`, `"\b\f\n\r\t"`, `"\u0000"`, `"\u001f"`, `"\u0041"`, `"\u00e9"`, `"\uD834\uDD1E"`, `"\ud83d\ude39\ud83d\udc8d"`,
		`"\uFFFF"`, `"\uFFFE"`, `"\uFDD0"`, `"\u2028\u2029"`, `"\u202e"`, `"\u200B"`, `"\u2064"`, "\"\u2028\u2029\"", "\"\u007f\"", "\"\uffff\"", "\"é€𝄞\"", "\"\U0010ffff\"",
		`{"a":null}`, `{"":0}`, `{"a":{"a":{"a":1}}}`, `{"a":1,"A":2}`, `{"\u0000":1}`, `{"a":[{"a":1},{"a":2}]}`, " [ 1 ] ", "\t{\n}\r",
		`["a",1,true,null,{"b":[]}]`, `"__proto__"`, `{"__proto__":{"x":1}}`, `{"constructor":{"prototype":1}}`, `"` + strings.Repeat("a", 100_000) + `"`,
		strings.Repeat("[", 1000) + strings.Repeat("]", 1000), strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		strings.Repeat(`{"a":`, 9000) + `1` + strings.Repeat("}", 9000), `[` + strings.Repeat("0,", 100_000) + `0]`, strings.Repeat("9", 100_000),
	}
	return values
}

// unsound are values that are no JSON at all.
func unsound() []string {
	values := []string{
		``, ` `, `[`, `]`, `{`, `}`, `[[]`, `[]]`, `{}}`, `{]`, `[}`, `,`, `:`, `[,]`, `[1,]`, `[,1]`, `[1,,2]`, `[1 2]`, `["a" "b"]`, `["a":1]`, `[1:2]`,
		`{,}`, `{"a"}`, `{"a":}`, `{"a" 1}`, `{"a",1}`, `{"a":1,}`, `{,"a":1}`, `{"a":1,,"b":2}`, `{"a":1 "b":2}`, `{:1}`, `{a:1}`, `{'a':1}`, `{1:1}`, `{null:1}`, `{true:1}`,
		`{[]:1}`, `{"a":1:2}`, `{"a":a}`, `{"a":/**/1}`, `[1]//x`, `/**/1`, `#1`, `-`, `+1`, `--1`, `-+1`, `01`, `-01`, `00`, `0x1`, `0b1`, `1_000`, `.5`, `-.5`, `5.`, `1.e1`, `1e`, `1e+`, `1E-`,
		`1e1.5`, `1.2.3`, `1ee1`, `1a`, `0e`, `Inf`, `Infinity`, `-Infinity`, `NaN`, `-NaN`, `nan`, `nul`, `nulL`, `Null`, `NULL`, `tru`, `True`, `TRUE`, `truex`, `fals`, `False`, `undefined`, `None`,
		`"`, `"a`, `a"`, `'a'`, "`a`", `"\"`, `"\x41"`, `"\a"`, `"\'"`, `"\0"`, `"\v"`, `"\u"`, `"\u1"`, `"\u12"`, `"\u123"`, `"\u123g"`, `"\U0041"`, `"\u{41}"`, `"\ud83d\u"`, `"\ud83d\ude"`, `"\`,
		"\"\n\"", "\"\t\"", "\"\r\"", "\"\x00\"", "\"\x1f\"", "\x00", "\x01", "[\x00]", "[1\x00]", "\"a\x00b\"", "{\"a\x00\":1}", "\"\\\n\"",
		"\xa0[]", "\u00a0[]", "\u2060[]", "\u2028[]", "[\v1]", "[\f1]", "\ufeff[]", "\ufeff{}", "\xef\xbb[]", "\xff\xfe[\x00]\x00", "\xfe\xff\x00[\x00]", "[\ufeff]", "é", "\xff", "\x80", "[\xff]", "1\xff",
		`[1];`, `[1]x`, `{}x`, `"a"x`, `[] []`, `{} {}`, `[]` + "\x00", `alert(1)`, `<a>`, `$`, `*`, `&b`, `!!x`, `---`, `=1`, `%s`, `\u005b\u005d`, `\"a\"`,
		strings.Repeat("[", 11000) + strings.Repeat("]", 11000), strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 100_000),
		strings.Repeat(`{"a":`, 11000) + `1` + strings.Repeat("}", 11000), strings.Repeat(`[{"a":`, 50_000), strings.Repeat("]", 1000), strings.Repeat(`"`, 1001),
	}
	return values
}

// loose are values that a lenient reader takes, and each reader differently.
func loose() []string {
	values := []string{
		`{"a":1,"a":1}`, `{"a":1,"a":2}`, `{"a":1,"b":2,"a":3}`, `{"a":1,"\u0061":2}`, `{"":1,"":2}`, `{"a":{},"a":[]}`, `[{"a":1,"a":2}]`, `{"x":{"a":1,"a":2}}`, `{"x":[[{"a":1,"a":2}]]}`, `{"é":1,"\u00e9":2}`,
		"\"\xff\"", "\"\x80\"", "\"\xbf\"", "\"\xc0\x80\"", "\"\xc0\xaf\"", "\"\xc1\xbf\"", "\"\xe0\x80\xaf\"", "\"\xf0\x80\x80\xaf\"", "\"\xed\xa0\x80\"", "\"\xed\xbf\xbf\"", "\"\xed\xa0\xbd\xed\xb8\x80\"",
		"\"\xf4\x90\x80\x80\"", "\"\xf5\x80\x80\x80\"", "\"\xf8\x88\x80\x80\x80\"", "\"\xfc\x84\x80\x80\x80\x80\"", "\"\xfe\"", "\"\xe2\x82\"", "\"\xf0\x9f\x98\"", "\"\xc3\"", "\"\xc3(\"", "\"a\xe9b\"",
		"{\"\xff\":1}", "[\"\xff\"]", "{\"a\":\"\xff\"}",
		`"\ud800"`, `"\udbff"`, `"\udc00"`, `"\udfff"`, `"\ud800a"`, `"\ud800\n"`, `"\ud800\u0041"`, `"\ud800\ud800"`, `"\udc00\ud800"`, `"\ud83d\ude00\ude00"`, `"\uDADA"`, `"a\ud800b"`, `["\ud800"]`, `{"\ud800":1}`, `{"a":"\udc00"}`,
	}
	for depth := range 20 {
		values = append(values, strings.Repeat(`{"a":[`, depth)+`{"k":0,"k":0}`+strings.Repeat(`]}`, depth))
	}
	return values
}

// P-44: strict JSON, wherever the fault is. The standard library judges what is
// JSON; it takes the loose values too, and those we do not.
func TestHostileJSON(t *testing.T) {
	t.Parallel()
	q := &queue{}
	h := newHook(t, config(q))
	cases := 0
	try := func(class, value string, strict bool) {
		for _, p := range positions() {
			cases++
			whole := []byte(p.before + value + p.after)
			valid := stdjson.Valid(whole)
			if class != "unsound" && !valid {
				t.Fatalf("%s: %.40q is no JSON", class, value)
			}
			status, requests := p.status, p.requests
			if !valid || strict {
				status, requests = http.StatusBadRequest, 0
			}
			w := deliver(h, whole)
			if got := len(q.take()); w.Code != status || got != requests {
				t.Errorf("%s %.60q as %s: answered %d %q with %d requests, want %d and %d",
					class, value, p.name, w.Code, w.Body, got, status, requests)
			}
		}
	}
	for _, v := range sound() {
		try("sound", v, false)
	}
	for _, v := range unsound() {
		if stdjson.Valid([]byte(v)) {
			t.Fatalf("%.40q is JSON", v)
		}
		try("unsound", v, false)
	}
	for _, v := range loose() {
		try("loose", v, true)
	}
	t.Logf("%d cases", cases)
}

// A delivery that ends anywhere but at its end is refused.
func TestTruncatedDelivery(t *testing.T) {
	t.Parallel()
	q := &queue{}
	h := newHook(t, config(q))
	for name, step := range map[string]int{"hook-null-fields-omitted.json": 1, "hook-batch-out-of-order-with-duplicate.json": 97} {
		whole := bytes.TrimSpace(fixture(t, name))
		for n := 0; n < len(whole); n += step {
			if w := deliver(h, whole[:n]); w.Code != http.StatusBadRequest {
				t.Fatalf("the first %d bytes of %d of %s: answered %d, want 400", n, len(whole), name, w.Code)
			}
		}
	}
	if q.calls != 0 {
		t.Errorf("the queue was called %d times", q.calls)
	}
}

// A delivery with any one byte changed is refused if and only if it is no longer
// strict JSON, or no longer a delivery.
func TestMutatedDelivery(t *testing.T) {
	t.Parallel()
	q := &queue{}
	h := newHook(t, config(q))
	whole := envelope(joined(userID, "ana@example.com", "Ana"))
	refused := 0
	for i := range whole {
		for _, b := range []byte("\x00 \"\\{}[]:,0eaT\x80\xff") {
			changed := bytes.Clone(whole)
			changed[i] = b
			w := deliver(h, changed)
			q.take()
			strict := stdjson.Valid(changed) && jsontext.Value(changed).IsValid()
			switch {
			case w.Code == http.StatusBadRequest:
				refused++
			case w.Code != http.StatusNoContent:
				t.Fatalf("byte %d is %q: answered %d", i, b, w.Code)
			case !strict:
				t.Errorf("byte %d is %q: answered 204 though it is not strict JSON", i, b)
			}
			if strict && w.Code == http.StatusBadRequest && !bytes.Contains(w.Body.Bytes(), []byte("not an event hook")) && !bytes.Contains(w.Body.Bytes(), []byte("wrong case")) {
				t.Errorf("byte %d is %q: refused as %q though it is strict JSON", i, b, w.Body)
			}
		}
	}
	if refused == 0 {
		t.Error("no change was refused")
	}
}

func FuzzDelivery(f *testing.F) {
	for _, name := range fixtures(f) {
		f.Add(fixture(f, name), true)
	}
	f.Add(envelope(joined(userID, "ana@example.com", "Ana"), membership("remove", userID, "", "\\ud83d\\ude00")), false)
	for _, v := range loose() {
		f.Add([]byte(`{"data":{"events":[`+v+`]}}`), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, stored bool) {
		q := &queue{}
		if !stored {
			q.err = fmt.Errorf("disk is full")
		}
		c := config(q)
		c.Facts = true
		h := newHook(t, c)
		w := deliver(h, body)
		requests := q.take()
		switch w.Code {
		case http.StatusNoContent:
			if !jsontext.Value(body).IsValid() {
				t.Errorf("took what is not strict JSON")
			}
		case http.StatusBadRequest, http.StatusServiceUnavailable:
			if len(requests) != 0 || h.Stats().Events != 0 {
				t.Errorf("answered %d and kept %d requests", w.Code, len(requests))
			}
		default:
			t.Errorf("answered %d", w.Code)
		}
		if strings.Contains(w.Body.String(), "internal fault") {
			t.Errorf("panicked")
		}
		for _, r := range requests {
			check(t, r)
		}
	})
}

// check wants a request to be within the bounds that the store relies on.
func check(t *testing.T, r reconcile.Request) {
	t.Helper()
	if r.Person == "" || len(r.Person) > 64 || r.Event == "" || len(r.Event) > 64 || len(r.Facts) == 0 || r.Trigger != reconcile.TriggerHook {
		t.Errorf("request %+v is out of bounds", r)
	}
	for _, f := range r.Facts {
		if f.Person != r.Person || f.Group == "" || len(f.Group) > 64 || f.GroupName != groupName || f.Published.IsZero() ||
			f.Member != (r.Priority == reconcile.Joiner) || strings.Contains(f.Login+f.DisplayName, "\x00") || len([]rune(f.Login)) > 256 {
			t.Errorf("fact %+v is out of bounds", f)
		}
	}
}

func BenchmarkHook(b *testing.B) {
	whole := fixture(b, "hook-group.user_membership.add.json")
	q := discard{}
	for _, facts := range []bool{false, true} {
		b.Run(fmt.Sprintf("facts=%t", facts), func(b *testing.B) {
			c := config(q)
			c.Facts = facts
			h := newHook(b, c)
			b.SetBytes(int64(len(whole)))
			b.ReportAllocs()
			for b.Loop() {
				if w := deliver(h, whole); w.Code != http.StatusNoContent {
					b.Fatalf("answered %d", w.Code)
				}
			}
		})
	}
}

var _ okta.Enqueuer = reconcile.Queue(nil)
