// Package secretmanager reads the document of secret keys from Secret Manager.
package secretmanager

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/hitolayer/hito/infra/gcp/rest"
	"github.com/hitolayer/hito/shared/project"
)

// NewClient returns a client of Secret Manager, or of the emulator that
// SECRETMANAGER_EMULATOR_HOST names.
func NewClient(lookup func(variable string) (value string, ok bool)) (*rest.Client, error) {
	return rest.NewClient(lookup, "SECRETMANAGER_EMULATOR_HOST", "https://secretmanager.googleapis.com")
}

// defaultEvery has a thousand instances look at a secret for about $0.90 a day
// (https://cloud.google.com/secret-manager/pricing, November 2026: $0.03 per 10,000 accesses).
const defaultEvery = 5 * time.Minute

const defaultPatience = 4 * time.Second

// Secret is a document in a secret, of which the latest version counts. Its
// errors and tags tell nothing of the value.
type Secret struct {
	Client *rest.Client
	// Name is projects/P/secrets/S.
	Name string
	// Every is how long the secret is taken as unchanged without a look, since
	// each costs: 5 minutes when 0.
	Every time.Duration
	// Patience bounds a Fetch with all its attempts, 4 s when 0.
	Patience time.Duration
	// Now is the clock, time.Now when nil.
	Now func() time.Time

	mu     sync.Mutex
	tag    string // of the version fetched last
	looked time.Time
}

var _ project.Source = (*Secret)(nil)

// maxAnswer is more than the 64 KiB of a version take in base64.
const maxAnswer = 128 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errUnread  = errors.New("the answer could not be read")
	errSum     = errors.New("the value is damaged, its checksum differs")
	errNoValue = errors.New("its latest version has no value")
)

// Fetch implements project.Source. The tag is the version's name.
//
// https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access
func (s *Secret) Fetch(ctx context.Context, tag string) (data []byte, newTag string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	began := now().Round(0) // by the wall clock: the other may stand while an instance is frozen
	if tag != "" && tag == s.tag && began.Sub(s.looked) < cmp.Or(s.Every, defaultEvery) {
		return nil, tag, nil
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.Patience, defaultPatience))
	defer cancel()
	answer, err := s.Client.Do(ctx, http.MethodGet, "/v1/"+s.Name+"/versions/latest:access", nil, maxAnswer)
	if err != nil {
		return nil, "", s.explain(err)
	}
	var version struct {
		Name    string
		Payload struct {
			Data []byte
			Sum  string `json:"dataCrc32c"`
		}
	}
	switch err := json.Unmarshal(answer.Body, &version); {
	case err != nil || version.Name == "":
		return nil, "", fmt.Errorf("get secret %s: %w", s.Name, errUnread) // err may quote a part of the secret
	case len(version.Payload.Data) == 0:
		return nil, "", fmt.Errorf("get secret %s: %w", s.Name, errNoValue)
	case version.Payload.Sum != "" && version.Payload.Sum != strconv.FormatUint(uint64(crc32.Checksum(version.Payload.Data, castagnoli)), 10):
		return nil, "", fmt.Errorf("get secret %s: %w", s.Name, errSum)
	}
	s.tag, s.looked = version.Name, began
	if s.tag == tag {
		return nil, tag, nil
	}
	return version.Payload.Data, s.tag, nil
}

// explain says what to do about a secret that is not there.
func (s *Secret) explain(err error) error {
	switch rest.StatusOf(err) {
	case http.StatusNotFound:
		return fmt.Errorf("get secret %s: %w: create it, or put the keys document into it: %w", s.Name, project.ErrMissing, err)
	case http.StatusForbidden:
		return fmt.Errorf("get secret %s: grant roles/secretmanager.secretAccessor on it: %w", s.Name, err)
	}
	return fmt.Errorf("get secret %s: %w", s.Name, err)
}
