// Package googleapis stands in for the parts of Google's JSON APIs that functions
// call: objects of Cloud Storage, and secrets' versions of Secret Manager. Tests
// serve it; nothing deployed links it.
package googleapis

import (
	"cmp"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"net/http"
	"net/url"
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

// at is the generation as the API writes it: that of no object is 0.
func (o object) at() string { return strconv.FormatInt(o.generation, 10) }

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
	o := object{slices.Clone(data), 1_700_000_000_000_000 + s.generation, cmp.Or(contentType, "application/octet-stream")}
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
	bucket, key, upload, ok := name(r.URL)
	q := r.URL.Query()
	media := q.Get("alt") == "media"
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpload))
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
	case !ok || err != nil:
		refuse(w, http.StatusBadRequest, "not a call that is served here")
	case !number(q.Get("ifGenerationMatch")) || !number(q.Get("ifGenerationNotMatch")):
		refuse(w, http.StatusBadRequest, "Invalid value for a generation")
	case !found && media:
		http.Error(w, "The specified bucket does not exist.", http.StatusNotFound)
	case !found:
		refuse(w, http.StatusNotFound, "The specified bucket does not exist.")
	case q.Has("ifGenerationMatch") && q.Get("ifGenerationMatch") != has.at():
		refuse(w, http.StatusPreconditionFailed, "At least one of the pre-conditions you specified did not hold.")
	case upload && r.Method == http.MethodPost && q.Get("uploadType") == "media":
		answer(w, s.put(bucket, key, data, q.Get("contentType")), bucket, key)
	case upload || r.Method != http.MethodGet:
		refuse(w, http.StatusBadRequest, "not a call that is served here")
	case !there && media: // of a download no error is JSON
		http.Error(w, "No such object: "+bucket+"/"+key, http.StatusNotFound)
	case !there:
		refuse(w, http.StatusNotFound, "No such object: "+bucket+"/"+key)
	case q.Get("ifGenerationNotMatch") == has.at():
		w.WriteHeader(http.StatusNotModified)
	case media:
		w.Header().Set("X-Goog-Generation", has.at())
		w.Header().Set("Content-Type", has.contentType)
		w.Header().Set("Content-Length", strconv.Itoa(len(has.data)))
		_, _ = w.Write(has.data)
	default:
		answer(w, has, bucket, key)
	}
}

// name returns which object a URL is of, and whether it is to be uploaded there.
func name(u *url.URL) (bucket, key string, upload, ok bool) {
	path, upload := strings.CutPrefix(u.EscapedPath(), "/upload")
	path, ok = strings.CutPrefix(path, "/storage/v1/b/")
	parts := strings.Split(path, "/") // a key's own slashes are escaped
	if upload {
		parts = append(parts, url.PathEscape(u.Query().Get("name")))
	}
	if !ok || len(parts) != 3 || parts[0] == "" || parts[1] != "o" || parts[2] == "" {
		return "", "", upload, false
	}
	bucket, _ = url.PathUnescape(parts[0]) // the server has looked at the escapes
	key, _ = url.PathUnescape(parts[2])
	return bucket, key, upload, true
}

// number tells whether a generation is one, or there is none.
func number(generation string) bool {
	_, err := strconv.ParseInt(generation, 10, 64)
	return generation == "" || err == nil
}

func answer(w http.ResponseWriter, o object, bucket, key string) {
	sum := md5.Sum(o.data)
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_ = json.NewEncoder(w).Encode(map[string]string{
		"kind": "storage#object", "bucket": bucket, "name": key, "generation": o.at(),
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
	versions map[string][]version // by secret
	calls    int
}

type version struct {
	data  []byte
	state string // none when it is enabled
}

// Add gives a secret, projects/P/secrets/S, a new version.
func (s *Secrets) Add(secret string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.versions == nil {
		s.versions = map[string][]version{}
	}
	s.versions[secret] = append(s.versions[secret], version{data: slices.Clone(data)})
}

// Close puts a secret's latest version in a state in which it cannot be accessed:
// DISABLED or DESTROYED. It is the latest all the same.
func (s *Secrets) Close(secret, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	versions := s.versions[secret]
	versions[len(versions)-1].state = state
}

// Delete takes a secret away with all its versions.
func (s *Secrets) Delete(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.versions, secret)
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
	if !ok || r.Method != http.MethodGet {
		refuse(w, http.StatusBadRequest, "not a call that is served here")
		return
	}
	if len(versions) == 0 {
		refuse(w, http.StatusNotFound, "Secret ["+secret+"] not found or has no versions.")
		return
	}
	name, latest := fmt.Sprintf("%s/versions/%d", secret, len(versions)), versions[len(versions)-1]
	if latest.state != "" {
		refuse(w, http.StatusBadRequest, "Secret Version ["+name+"] is in "+latest.state+" state.")
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"name": name,
		"payload": map[string]string{
			"data":       base64.StdEncoding.EncodeToString(latest.data),
			"dataCrc32c": strconv.FormatUint(uint64(crc32.Checksum(latest.data, crc32.MakeTable(crc32.Castagnoli))), 10),
		},
	})
}
