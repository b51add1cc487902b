package connect

import (
	"encoding/json"
	"net/http"
	"strings"
)

// usersQuota is the code of the quota Users per instance in Service Quotas.
// Source: Amazon Connect service quotas.
const usersQuota = "L-9A46857E"

// asksQuota says whether a request is for Service Quotas, which stands beside
// Amazon Connect and tells how many users an instance may have.
func asksQuota(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Path == "/" && strings.HasPrefix(r.Header.Get("X-Amz-Target"), "ServiceQuotasV20190624.")
}

// serviceQuotas answers GetServiceQuota for the quota of users, of the instance or
// of the account. Source: Service Quotas API Reference; AWS JSON 1.1 protocol.
func (in *Instance) serviceQuotas(w http.ResponseWriter, r *http.Request) {
	in.mu.Lock()
	settings := in.settings.clone()
	in.mu.Unlock()
	body, err := readObject(w, r)
	asked := func(member string) string {
		text, _ := body[member].(string)
		return text
	}
	service, quota, instance := asked("ServiceCode"), asked("QuotaCode"), asked("ContextId")
	refuse := func(status int, code, message string) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "Message": message}) // a client that went away is no news
	}
	switch {
	case settings.RequireSignature && !strings.Contains(r.Header.Get("Authorization"), "/servicequotas/aws4_request"):
		refuse(http.StatusForbidden, "InvalidSignatureException", "Credential should be scoped to correct service: 'servicequotas'.")
	case settings.QuotaHidden:
		refuse(http.StatusBadRequest, "AccessDeniedException", "not authorized to perform: servicequotas:GetServiceQuota")
	case r.Header.Get("X-Amz-Target") != "ServiceQuotasV20190624.GetServiceQuota":
		refuse(http.StatusBadRequest, "UnknownOperationException", "the simulator has only GetServiceQuota")
	case err != nil || service == "" || quota == "":
		refuse(http.StatusBadRequest, "IllegalArgumentException", "ServiceCode and QuotaCode are required")
	case service != "connect" || quota != usersQuota || settings.Quota == 0 || instance != "" && !in.isThis(instance):
		refuse(http.StatusBadRequest, "NoSuchResourceException", "The request failed because the specified service quota does not exist.")
	default:
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_ = json.NewEncoder(w).Encode(map[string]any{"Quota": map[string]any{
			"ServiceCode": "connect", "QuotaCode": usersQuota, "QuotaName": "Users per instance",
			"Value": float64(settings.Quota), "Unit": "None", "Adjustable": true, "GlobalQuota": false,
		}})
	}
}
