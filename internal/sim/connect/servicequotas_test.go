package connect

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Service Quotas tells the quota of users, to whoever may know.
func TestServiceQuotas(t *testing.T) {
	t.Parallel()
	in, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(in)
	defer server.Close()
	const get = "ServiceQuotasV20190624.GetServiceQuota"
	ask := func(target, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Target", target)
		response, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
	users := `{"ServiceCode":"connect","QuotaCode":"L-9A46857E","ContextId":"` + in.ARN() + `"}`
	for _, c := range []struct {
		name, target, body string
		status             int
		want               string
	}{
		{"of the instance", get, users, 200, `"Value":500`},
		{"of the account", get, `{"ServiceCode":"connect","QuotaCode":"L-9A46857E"}`, 200, `"Value":500`},
		{"another instance", get, strings.Replace(users, "1111", "9999", 1), 400, "NoSuchResourceException"},
		{"another quota", get, `{"ServiceCode":"connect","QuotaCode":"L-00000000"}`, 400, "NoSuchResourceException"},
		{"nothing asked", get, `{}`, 400, "IllegalArgumentException"},
		{"no JSON", get, `quota?`, 400, "IllegalArgumentException"},
		{"another operation", "ServiceQuotasV20190624.ListServices", users, 400, "UnknownOperationException"},
	} {
		if status, text := ask(c.target, c.body); status != c.status || !strings.Contains(text, c.want) {
			t.Errorf("%s: %d %s", c.name, status, text)
		}
	}
	set := func(change func(*Settings)) {
		t.Helper()
		if err := in.ChangeSettings(change); err != nil {
			t.Fatal(err)
		}
	}
	set(func(s *Settings) { s.QuotaHidden = true })
	if status, text := ask(get, users); status != 400 || !strings.Contains(text, "AccessDeniedException") {
		t.Errorf("hidden: %d %s", status, text)
	}
	set(func(s *Settings) { s.QuotaHidden, s.RequireSignature = false, true })
	if status, text := ask(get, users); status != 403 || !strings.Contains(text, "InvalidSignatureException") {
		t.Errorf("unsigned: %d %s", status, text)
	}
	if n := in.Stats().Unknown; n != 0 {
		t.Errorf("%d of them were taken for unknown calls of Amazon Connect", n)
	}
}

// The clock that the header Date tells can be off, and is right otherwise.
func TestClockAhead(t *testing.T) {
	t.Parallel()
	in, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(in)
	defer server.Close()
	for _, ahead := range []time.Duration{0, 10 * time.Minute, -time.Hour} {
		if err := in.ChangeSettings(func(s *Settings) { s.ClockAhead = ahead }); err != nil {
			t.Fatal(err)
		}
		response, err := server.Client().Get(server.URL + "/instance/" + in.ID())
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		date, err := http.ParseTime(response.Header.Get("Date"))
		if off := time.Until(date) - ahead; err != nil || off.Abs() > 30*time.Second {
			t.Errorf("%s ahead: the header says %s, %v", ahead, response.Header.Get("Date"), err)
		}
	}
}
