package sts

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	provider = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/aws/providers/beacon"
	role     = "arn:aws:sts::123456789012:assumed-role/hito-beacon"
	account  = "hito-aws@p.iam.gserviceaccount.com"
)

func google(now *time.Time) *Google {
	return &Google{
		Provider: provider, Role: role, Account: account, Now: func() time.Time { return *now },
		Keys: map[string]AWSKey{
			"AKIA": {Secret: "secret", Session: "session/+=", Role: role, Expires: now.Add(time.Hour)},
			"LONG": {Secret: "secret", Role: role},
			"ELSE": {Secret: "secret", Role: role + "-other"},
		},
	}
}

// show is what a test makes of a request that Google takes.
type show struct {
	credentials   aws.Credentials
	url, method   string
	target        string
	unsigned      bool // the target is added after signing
	region        string
	at            time.Time
	form          url.Values
	change        func(header map[string]string)
	authorization string
}

// do shows Google a request, signed by the SDK.
func (s *show) do(t *testing.T, g *Google) (status int, answer string) {
	t.Helper()
	req := httptest.NewRequest(s.method, s.url, nil)
	req.RequestURI = ""
	if !s.unsigned {
		req.Header.Set("x-goog-cloud-target-resource", s.target)
	}
	if err := v4.NewSigner().SignHTTP(t.Context(), s.credentials, req, hexSHA256(nil), "sts", s.region, s.at); err != nil {
		t.Fatal(err)
	}
	headers := map[string]string{"host": req.Host, "x-goog-cloud-target-resource": s.target}
	for key := range req.Header {
		headers[strings.ToLower(key)] = req.Header.Get(key)
	}
	if s.change != nil {
		s.change(headers)
	}
	var list []map[string]string
	for key, value := range headers {
		list = append(list, map[string]string{"key": key, "value": value})
	}
	text, err := json.Marshal(map[string]any{"url": s.url, "method": s.method, "headers": list})
	if err != nil {
		t.Fatal(err)
	}
	if s.form.Get("subject_token") == "" {
		s.form.Set("subject_token", url.PathEscape(string(text)))
	}
	return call(g, "/v1/token", "application/x-www-form-urlencoded", s.authorization, s.form.Encode())
}

func call(g *Google, path, contentType, authorization, body string) (status int, answer string) {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func good(now time.Time) *show {
	return &show{
		credentials: aws.Credentials{AccessKeyID: "AKIA", SecretAccessKey: "secret", SessionToken: "session/+="},
		url:         "https://sts.eu-west-1.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15", method: http.MethodPost,
		target: provider, region: "eu-west-1", at: now,
		form: url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "audience": {provider},
			"scope": {"https://www.googleapis.com/auth/iam"}, "requested_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
			"subject_token_type": {"urn:ietf:params:aws:token-type:aws4_request"},
		},
	}
}

func TestExchange(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		change func(*show)
		status int
		says   string
	}{
		"Good":                  {func(*show) {}, 200, "access_token"},
		"LastingCredentials":    {func(s *show) { s.credentials = aws.Credentials{AccessKeyID: "LONG", SecretAccessKey: "secret"} }, 200, ""},
		"ClockOff":              {func(s *show) { s.at = now.Add(-14 * time.Minute) }, 200, ""},
		"HTTPSTarget":           {func(s *show) { s.target = "https:" + provider }, 200, ""},
		"Slash":                 {func(s *show) { s.url = strings.Replace(s.url, "?", "/?", 1) }, 200, ""},
		"OtherAudience":         {func(s *show) { s.form.Set("audience", provider+"2") }, 400, "invalid_target"},
		"OtherTarget":           {func(s *show) { s.target = provider + "2" }, 400, "target-resource"},
		"UnsignedTarget":        {func(s *show) { s.unsigned = true }, 400, "not signed"},
		"ChangedTarget":         {func(s *show) { s.target += "2"; s.change = set("x-goog-cloud-target-resource", provider) }, 400, "SignatureDoesNotMatch"},
		"UnknownKey":            {func(s *show) { s.credentials.AccessKeyID = "NOBODY" }, 400, "InvalidClientTokenId"},
		"OtherSecret":           {func(s *show) { s.credentials.SecretAccessKey = "guess" }, 400, "SignatureDoesNotMatch"},
		"OtherSession":          {func(s *show) { s.credentials.SessionToken = "guess" }, 400, "InvalidClientTokenId"},
		"NoSession":             {func(s *show) { s.credentials.SessionToken = "" }, 400, "InvalidClientTokenId"},
		"OtherRole":             {func(s *show) { s.credentials = aws.Credentials{AccessKeyID: "ELSE", SecretAccessKey: "secret"} }, 403, "attribute condition"},
		"Old":                   {func(s *show) { s.at = now.Add(-16 * time.Minute) }, 400, "expired"},
		"Early":                 {func(s *show) { s.at = now.Add(16 * time.Minute) }, 400, "expired"},
		"ChangedTime":           {func(s *show) { s.change = set("x-amz-date", now.UTC().Add(time.Minute).Format("20060102T150405Z")) }, 400, ""},
		"OtherRegion":           {func(s *show) { s.region = "us-east-1" }, 400, "signed for"},
		"Global":                {func(s *show) { s.url = strings.Replace(s.url, "eu-west-1.", "", 1) }, 400, "AWS STS"},
		"NotAWS":                {func(s *show) { s.url = strings.Replace(s.url, "amazonaws.com", "example.com", 1) }, 400, "AWS STS"},
		"NotSTS":                {func(s *show) { s.url = strings.Replace(s.url, "sts.", "", 1) }, 400, "AWS STS"},
		"Plain":                 {func(s *show) { s.url = strings.Replace(s.url, "https", "http", 1) }, 400, "AWS STS"},
		"OtherAction":           {func(s *show) { s.url = strings.Replace(s.url, "GetCallerIdentity", "GetSessionToken", 1) }, 400, "AWS STS"},
		"More":                  {func(s *show) { s.url += "&X=1" }, 400, "AWS STS"},
		"GET":                   {func(s *show) { s.method = http.MethodGet }, 400, "AWS STS"},
		"OtherHost":             {func(s *show) { s.change = set("host", "sts.us-east-1.amazonaws.com") }, 400, "host"},
		"NoAuthorization":       {func(s *show) { s.change = set("authorization", "") }, 400, "not a signature"},
		"NoJSON":                {func(s *show) { s.form.Set("subject_token", "hello") }, 400, "JSON"},
		"OtherTokenType":        {func(s *show) { s.form.Set("subject_token_type", "urn:ietf:params:oauth:token-type:jwt") }, 400, "subject_token_type"},
		"NoScope":               {func(s *show) { s.form.Del("scope") }, 400, "scope"},
		"WithAuthorization":     {func(s *show) { s.authorization = "Bearer x" }, 400, "Authorization"},
		"RequestedSomethingOdd": {func(s *show) { s.form.Set("requested_token_type", "x") }, 400, "requested_token_type"},
	} {
		t.Run(name, func(t *testing.T) {
			s := good(now)
			c.change(s)
			g := google(&now)
			status, answer := s.do(t, g)
			if status != c.status || !strings.Contains(answer, c.says) {
				t.Errorf("%d %s", status, answer)
			}
			if (status == 200) != (len(g.federated) == 1) {
				t.Errorf("%d tokens were given", len(g.federated))
			}
		})
	}
}

func set(key, value string) func(map[string]string) {
	return func(h map[string]string) { h[key] = value }
}

func TestExpiredCredentials(t *testing.T) {
	now := time.Now()
	g := google(&now)
	now = now.Add(time.Hour)
	if status, answer := good(now).do(t, g); status != 400 || !strings.Contains(answer, "ExpiredToken") {
		t.Errorf("%d %s", status, answer)
	}
}

func TestShownAgain(t *testing.T) {
	now := time.Now()
	g := google(&now)
	s := good(now)
	for range 3 {
		if status, answer := s.do(t, g); status != 200 {
			t.Errorf("%d %s", status, answer)
		}
	}
	if g.ShownAgain() != 2 || g.Exchanges() != 3 {
		t.Errorf("%d shown again of %d", g.ShownAgain(), g.Exchanges())
	}
}

func TestImpersonate(t *testing.T) {
	const scope = "https://www.googleapis.com/auth/pubsub"
	now := time.Now()
	g := google(&now)
	federated := func(scope string) string {
		s := good(now)
		s.form.Set("scope", scope)
		_, answer := s.do(t, g)
		var out struct {
			Token string `json:"access_token"`
		}
		if err := json.Unmarshal([]byte(answer), &out); err != nil || out.Token == "" {
			t.Fatal(answer, err)
		}
		return "Bearer " + out.Token
	}
	token, narrow := federated("https://www.googleapis.com/auth/iam"), federated("https://www.googleapis.com/auth/pubsub")
	const right = accounts + account + ":generateAccessToken"
	for name, c := range map[string]struct {
		path, authorization, body string
		status                    int
	}{
		"Good":         {right, token, `{"scope":["` + scope + `"],"lifetime":"3600s"}`, 200},
		"NoLifetime":   {right, token, `{"scope":["` + scope + `"]}`, 200},
		"Nobody":       {right, "", `{"scope":["` + scope + `"]}`, 401},
		"Unknown":      {right, "Bearer ya29.x", `{"scope":["` + scope + `"]}`, 401},
		"NarrowScope":  {right, narrow, `{"scope":["` + scope + `"]}`, 403},
		"OtherAccount": {accounts + "else@p.iam.gserviceaccount.com:generateAccessToken", token, `{"scope":["` + scope + `"]}`, 403},
		"NoScope":      {right, token, `{}`, 400},
		"TooLong":      {right, token, `{"scope":["` + scope + `"],"lifetime":"3601s"}`, 400},
		"OtherMethod":  {accounts + account + ":signJwt", token, `{}`, 404},
	} {
		t.Run(name, func(t *testing.T) {
			given := len(g.tokens)
			status, answer := call(g, c.path, "application/json", c.authorization, c.body)
			if status != c.status || (status == 200) != (len(g.tokens) == given+1) {
				t.Errorf("%d %s", status, answer)
			}
		})
	}
	_, answer := call(g, right, "application/json", token, `{"scope":["`+scope+`"]}`)
	var out struct{ AccessToken, ExpireTime string }
	if err := json.Unmarshal([]byte(answer), &out); err != nil {
		t.Fatal(err)
	}
	if !g.Authorized("Bearer "+out.AccessToken, scope) || g.Authorized(out.AccessToken, scope) || g.Authorized("Bearer "+out.AccessToken, cloudScope) || g.Authorized(token, scope) {
		t.Error("it is taken for what it is not")
	}
	now = now.Add(time.Hour)
	if g.Authorized("Bearer "+out.AccessToken, scope) {
		t.Error("it works after its end")
	}
	if status, _ := call(g, right, "application/json", token, `{"scope":["`+scope+`"]}`); status != 401 {
		t.Errorf("a token of the exchange works after its end: %d", status)
	}
}

// FuzzExchange: nothing but a signature by a known key gets a token.
func FuzzExchange(f *testing.F) {
	f.Add("%7B%22url%22%3A%22https%3A//sts.x.amazonaws.com%22%2C%22headers%22%3A%5B%7B%22key%22%3A%22host%22%7D%5D%7D", "")
	f.Add(`{"url":"https://sts.r.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15","method":"POST","headers":[{"key":"host","value":"sts.r.amazonaws.com"},{"key":"x-goog-cloud-target-resource","value":"`+provider+`"},{"key":"authorization","value":"AWS4-HMAC-SHA256 Credential=AKIA/20000101/r/sts/aws4_request, SignedHeaders=host, Signature=00"},{"key":"x-amz-date","value":"20000101T000000Z"}]}`, "x")
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, subject, contentType string) {
		g := google(&now)
		form := good(now).form
		form.Set("subject_token", subject)
		for _, contentType := range []string{contentType, "application/x-www-form-urlencoded"} {
			if status, answer := call(g, "/v1/token", contentType, "", form.Encode()); status != 400 || !bytes.Contains([]byte(answer), []byte(`"error"`)) {
				t.Errorf("%d %s", status, answer)
			}
		}
	})
}
