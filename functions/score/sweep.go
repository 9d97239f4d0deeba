package score

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/telemetry"
)

// Sweeps is into how many parts everybody is divided where a schedule sweeps one
// every minute: everybody is decided anew once an hour.
const Sweeps = 60

// SweptAt is the part that is due at a time, from 0 to Sweeps-1.
func SweptAt(at time.Time) int { return int(at.Unix() / 60 % Sweeps) }

// Sweep decides anew everybody that pages yields: time passes without events,
// and rules change. A person whose decision panics is passed over, and its key
// is in the error, which ends nothing.
func (h *Handler) Sweep(ctx context.Context, pages iter.Seq2[[]*profile.Fragment, error]) error {
	swept := 0
	var panics []error
	for page, err := range pages {
		if err == nil {
			err = Isolate(page, func(some []*profile.Fragment) error { return h.Reevaluate(ctx, some) }, func(k profile.Key, cause any) {
				panics = append(panics, fmt.Errorf("decide %s: panic: %v", k, cause))
			})
		}
		if err != nil {
			return fmt.Errorf("sweep, after %d fragments: %w", swept, errors.Join(append(panics, err)...))
		}
		swept += len(page)
	}
	h.Telemetry.Emit(ctx, "score", telemetry.Value{Name: "fragments_swept", Unit: telemetry.Count, V: float64(swept)})
	return errors.Join(panics...)
}

// Isolate calls do with fragments; when it panics, with one half and then the
// other, down to the fragment that cannot be handled, which it passes over.
func Isolate(fragments []*profile.Fragment, do func([]*profile.Fragment) error, onPanic func(profile.Key, any)) error {
	cause, err := attempt(fragments, do)
	switch {
	case cause == nil:
		return err
	case len(fragments) <= 1:
		for _, f := range fragments {
			onPanic(f.Key, cause)
		}
		return nil
	}
	half := len(fragments) / 2
	if err := Isolate(fragments[:half], do, onPanic); err != nil {
		return err
	}
	return Isolate(fragments[half:], do, onPanic)
}

func attempt(fragments []*profile.Fragment, do func([]*profile.Fragment) error) (cause any, err error) {
	defer func() { cause = recover() }()
	return nil, do(fragments)
}
