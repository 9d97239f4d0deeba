// Package googleapis stands in for the parts of Google's JSON APIs that functions
// call: objects of Cloud Storage, and secrets' versions of Secret Manager. Tests
// serve it; nothing deployed links it.
package googleapis

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Storage is a Cloud Storage with some buckets, as the JSON API has it. The zero
// value is ready.
//
// https://cloud.google.com/storage/docs/json_api/v1/objects
type Storage struct {
	// Fail, if set, may answer in place of the storage, and reports whether it has.
	Fail func(w http.ResponseWriter, r *http.Request) bool

	mu         sync.Mutex
	generation int64
	buckets    map[string]map[string]object
	calls      []string
}

type object struct {
	data        []byte
	generation  int64
	contentType string
}

// Put puts an object in a bucket, and makes the bucket if there is none.
func (s *Storage) Put(bucket, key string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets == nil {
		s.buckets = map[string]map[string]object{}
	}
	if s.buckets[bucket] == nil {
		s.buckets[bucket] = map[string]object{}
	}
	s.put(bucket, key, data, "")
}

func (s *Storage) put(bucket, key string, data []byte, contentType string) object {
	s.generation++
	o := object{slices.Clone(data), 1_700_000_000_000_000 + s.generation, contentType}
	s.buckets[bucket][key] = o
	return o
}

// Delete takes an object away.
func (s *Storage) Delete(bucket, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.buckets[bucket], key)
}

// Get returns an object's data, nil without one.
func (s *Storage) Get(bucket, key string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.buckets[bucket][key].data)
}

// Keys returns the keys of a bucket's objects, sorted.
func (s *Storage) Keys(bucket string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.buckets[bucket]))
}

// Calls returns what was called: "GET bucket/key", "POST bucket/key".
func (s *Storage) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// maxUpload is how much of an object is taken.
const maxUpload = 16 << 20

// ServeHTTP serves reads of an object and uploads of one in one request.
func (s *Storage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	rest, upload := strings.CutPrefix(path, "/upload")
	rest, ok := strings.CutPrefix(rest, "/storage/v1/b/")
	bucket, key, _ := strings.Cut(rest, "/o")
	key = unescape(strings.TrimPrefix(key, "/"))
	q := r.URL.Query()
	if upload {
		key = q.Get("name")
	}
	bucket = unescape(bucket)
	data, err := io.ReadAll(io.LimitReader(r.Body, maxUpload))
	s.mu.Lock()
	s.calls = append(s.calls, r.Method+" "+bucket+"/"+key)
	s.mu.Unlock()
	if s.Fail != nil && s.Fail(w, r) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	objects, found := s.buckets[bucket]
	has, there := objects[key]
	switch {
	case !ok || key == "" || err != nil:
		refuse(w, http.StatusBadRequest, "not a call that is served here")
	case !found:
		refuse(w, http.StatusNotFound, "The specified bucket does not exist.")
	case !holds(q.Get("ifGenerationMatch"), has.generation, true):
		refuse(w, http.StatusPreconditionFailed, "At least one of the pre-conditions you specified did not hold.")
	case upload && r.Method == http.MethodPost && q.Get("uploadType") == "media":
		answer(w, s.put(bucket, key, data, q.Get("contentType")), bucket, key)
	case upload || r.Method != http.MethodGet:
		refuse(w, http.StatusBadRequest, "not a call that is served here")
	case !there:
		refuse(w, http.StatusNotFound, "No such object: "+bucket+"/"+key)
	case !holds(q.Get("ifGenerationNotMatch"), has.generation, false):
		w.WriteHeader(http.StatusNotModified)
	case q.Get("alt") == "media":
		w.Header().Set("X-Goog-Generation", strconv.FormatInt(has.generation, 10))
		w.Header().Set("Content-Type", has.contentType)
		w.Header().Set("Content-Length", strconv.Itoa(len(has.data)))
		_, _ = w.Write(has.data)
	default:
		answer(w, has, bucket, key)
	}
}

// holds tells whether a precondition on the generation holds; there is none in "".
func holds(text string, generation int64, same bool) bool {
	n, err := strconv.ParseInt(text, 10, 64)
	return text == "" || err == nil && (n == generation) == same
}

func unescape(s string) string {
	u, err := http.NewRequest(http.MethodGet, "/"+s, nil)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(u.URL.Path, "/")
}

func answer(w http.ResponseWriter, o object, bucket, key string) {
	sum := md5.Sum(o.data)
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_ = json.NewEncoder(w).Encode(map[string]string{
		"kind": "storage#object", "bucket": bucket, "name": key, "generation": strconv.FormatInt(o.generation, 10),
		"size": strconv.Itoa(len(o.data)), "contentType": o.contentType, "md5Hash": base64.StdEncoding.EncodeToString(sum[:]),
	})
}

// refuse answers as Google's APIs do: https://cloud.google.com/apis/design/errors#http_mapping
func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"code": status, "message": message}})
}

// Secrets is a Secret Manager of which the latest versions can be accessed. The
// zero value is ready.
//
// https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access
type Secrets struct {
	// Fail, if set, may answer in place of the service, and reports whether it has.
	Fail func(w http.ResponseWriter, r *http.Request) bool

	mu       sync.Mutex
	versions map[string][][]byte // by secret
	calls    int
}

// Add gives a secret, projects/P/secrets/S, a new version.
func (s *Secrets) Add(secret string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.versions == nil {
		s.versions = map[string][][]byte{}
	}
	s.versions[secret] = append(s.versions[secret], data)
}

// Calls returns how often secrets were accessed.
func (s *Secrets) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// ServeHTTP serves access to a secret's latest version.
func (s *Secrets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.calls++
	s.mu.Unlock()
	if s.Fail != nil && s.Fail(w, r) {
		return
	}
	secret, ok := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/v1/"), "/versions/latest:access")
	s.mu.Lock()
	defer s.mu.Unlock()
	versions := s.versions[secret]
	switch {
	case !ok || r.Method != http.MethodGet:
		refuse(w, http.StatusBadRequest, "not a call that is served here")
	case len(versions) == 0:
		refuse(w, http.StatusNotFound, "Secret ["+secret+"] not found or has no versions.")
	default:
		data := versions[len(versions)-1]
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"name": fmt.Sprintf("%s/versions/%d", secret, len(versions)),
			"payload": map[string]string{
				"data":       base64.StdEncoding.EncodeToString(data),
				"dataCrc32c": strconv.FormatUint(uint64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))), 10),
			},
		})
	}
}
