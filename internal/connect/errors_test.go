package connect

import (
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	simconnect "connectroster/internal/sim/connect"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		message string
		private []string
		want    string
	}{
		{"Username must be at most 64", nil, "Username must be at most 64"},
		{"user ana.diaz exists", []string{"Ana.Diaz@example.com"}, "user (private) exists"},
		{"user 'ANA.DIAZ@EXAMPLE.COM' exists", []string{"ana.diaz@example.com"}, "user '(private)' exists"},
		{"Ana de la Cruz is wrong, said Cruz", []string{"Ana", "de la Cruz"}, "(private) (private) is wrong, said (private)"},
		{"Anagram is no name", []string{"Ana"}, "Anagram is no name"},
		{"a is too short to hide", []string{"a"}, "a is too short to hide"},
		{"FirstName=Ame\u0301lie", []string{"Am\u00e9lie"}, "FirstName=(private)"},
		{"who is Zo\u00eb?", nil, "who is (private)"},
		{"arn:aws:sts::1:assumed-role/x/jo@example.com is not authorized", nil, "arn:aws:sts::1:(private) is not authorized"},
		{"a\r\nb\x1b[31mc\u2028d", nil, "a b [31mc(private)"},
		{"a.c (x|y)", []string{"a.c", "(x|y)"}, "(private) (private)"},
	} {
		got := withoutPrivate(c.message, c.private)
		if c.message == "a\r\nb\x1b[31mc\u2028d" {
			if strings.ContainsFunc(got, unicode.IsControl) || strings.Contains(got, "\u2028") {
				t.Errorf("%q became %q", c.message, got)
			}
			continue
		}
		if got != c.want {
			t.Errorf("%q became %q, want %q", c.message, got, c.want)
		}
	}
	if got := withoutPrivate(strings.Repeat("x", 10_000), nil); len(got) > maxMessage+10 {
		t.Errorf("%d bytes are kept", len(got))
	}
}

// Whatever words a message echoes, none of the private ones is left standing as
// a word of its own.
func TestRedactLaw(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		private := rapid.SliceOfN(rapid.StringMatching(`[A-Za-z]{2,8}( [A-Za-z]{2,8})?`), 1, 4).Draw(t, "private")
		message := "before"
		for _, p := range private {
			message += rapid.SampledFrom([]string{" ", " '", ": ", "=", "/"}).Draw(t, "before") + p +
				rapid.SampledFrom([]string{" ", "' ", ", ", "; "}).Draw(t, "after")
		}
		got := withoutPrivate(message, private)
		for _, word := range strings.FieldsFunc(got, func(r rune) bool { return !unicode.IsLetter(r) }) {
			for _, p := range private {
				if strings.EqualFold(word, p) && !strings.EqualFold(word, "private") && !strings.EqualFold(word, "before") {
					t.Fatalf("%q is still in %q", p, got)
				}
			}
		}
	})
}

// An error of a creation says what the service said, but not about whom.
func TestErrorsHideThePerson(t *testing.T) {
	t.Parallel()
	w := open(t, nil, nil)
	for _, status := range []int{400, 409, 429, 403, 404, 500} {
		w.fault(t, simconnect.Fault{Operation: "CreateUser", Status: status, Code: "InvalidParameterException",
			Message: "User Ana.Diaz@example.com (Ana Maria Díaz, ana.diaz) cannot be made"})
		change := w.creation("00u1", "Ana.Diaz@example.com")
		change.After.FirstName = "Ana Maria"
		_, err := w.Apply(t.Context(), change)
		if err == nil {
			t.Fatalf("%d: no error", status)
		}
		low := strings.ToLower(err.Error())
		for _, secret := range []string{"ana", "diaz", "díaz", "maria", "example.com"} {
			if strings.Contains(low, secret) {
				t.Errorf("%d: the error tells %q: %v", status, secret, err)
			}
		}
		if !strings.Contains(err.Error(), "cannot be made") || !strings.Contains(err.Error(), "InvalidParameterException") {
			t.Errorf("%d: the error tells nothing: %v", status, err)
		}
	}
	w.fault(t, simconnect.Fault{Operation: "SearchUsers", Status: 400, Code: "InvalidParameterException", Message: "bad value Ana.Diaz"})
	if _, err := w.Holder(t.Context(), "ana.diaz"); err == nil || strings.Contains(strings.ToLower(err.Error()), "diaz") {
		t.Errorf("the error of a search: %v", err)
	}
}

func TestReadErrorClasses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		code   string
		want   string
		calls  int
	}{
		{400, "InvalidRequestException", "terminal", 1},
		{403, "AccessDeniedException", "after 50s", 1},
		{404, "ResourceNotFoundException", "not found", 1},
		{429, "LimitExceededException", "after 15m0s", 1},
		{429, "ThrottlingException", "after 1s", 3},
		{500, "InternalServiceException", "unknown", 3},
		{503, "", "unknown", 3},
	} {
		t.Run(c.code, func(t *testing.T) {
			t.Parallel()
			w := open(t, nil, nil)
			w.fault(t, simconnect.Fault{Operation: "DescribeUser", Status: c.status, Code: c.code, Times: -1})
			if _, err := w.Agent(t.Context(), "x"); class(err) != c.want {
				t.Errorf("class %s, want %s: %v", class(err), c.want, err)
			}
			if n := w.sent("DescribeUser"); n != c.calls {
				t.Errorf("sent %d times, want %d", n, c.calls)
			}
		})
	}
}
