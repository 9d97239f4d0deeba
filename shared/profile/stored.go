package profile

import "fmt"

// Encode returns the fragment's stored form.
func (f *Fragment) Encode() ([]byte, error) {
	f.State.Form = Form
	b, err := f.State.MarshalVT()
	if err != nil {
		return nil, fmt.Errorf("encode fragment %s: %w", f.Key, err)
	}
	return b, nil
}

// Decode reads a fragment's stored form. The fragment keeps parts of data:
// data must not change while the fragment is in use.
func Decode(key Key, version uint64, data []byte) (*Fragment, error) {
	s := new(State)
	if err := s.unmarshal(data); err != nil {
		return nil, fmt.Errorf("decode fragment %s: %w", key, err)
	}
	if s.Form == 0 || s.Form > Form {
		return nil, fmt.Errorf("decode fragment %s: stored form %d, this build reads up to %d: deploy readers before writers", key, s.Form, Form)
	}
	if err := s.checkSeen(); err != nil {
		return nil, fmt.Errorf("decode fragment %s: %w", key, err)
	}
	return &Fragment{Key: key, Version: version, State: s}, nil
}
