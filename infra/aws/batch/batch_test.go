package batch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go"

	"github.com/hitolayer/hito/infra/aws/retry"
)

// sender sends numbers, each as large as it says, and notes the calls.
func sender(calls *[][]int, answer func([]int) ([]Refusal, error)) *Sender[int] {
	var mu sync.Mutex
	return &Sender[int]{
		Call: func(_ context.Context, messages []int) ([]Refusal, error) {
			mu.Lock()
			defer mu.Unlock()
			*calls = append(*calls, slices.Clone(messages))
			if answer == nil {
				return nil, nil
			}
			return answer(messages)
		},
		Size:        func(m *int) int { return *m },
		MaxMessages: 3, MaxBytes: 10, Parallel: 1,
	}
}

func TestCallsAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		messages []int
		want     [][]int
	}{
		"None":        {nil, nil},
		"One":         {[]int{4}, [][]int{{4}}},
		"Count":       {[]int{1, 1, 1, 1}, [][]int{{1, 1, 1}, {1}}},
		"JustFits":    {[]int{5, 5, 1}, [][]int{{5, 5}, {1}}},
		"Large":       {[]int{1, 30, 1, 2}, [][]int{{1}, {30}, {1, 2}}},
		"LargeFirst":  {[]int{30, 1}, [][]int{{30}, {1}}},
		"NothingMore": {[]int{10, 0, 0, 0}, [][]int{{10, 0, 0}, {0}}},
	} {
		t.Run(name, func(t *testing.T) {
			var calls [][]int
			if errs := sender(&calls, nil).Send(t.Context(), c.messages); errs != nil {
				t.Errorf("got %v", errs)
			}
			if !slices.EqualFunc(calls, c.want, slices.Equal) {
				t.Errorf("calls %v, want %v", calls, c.want)
			}
		})
	}
}

// TestOnlyRefusedGoAgain: over several rounds positions stay those of Send's argument.
func TestOnlyRefusedGoAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := &smithy.GenericAPIError{Code: "ThrottlingException"}
		bad := &smithy.GenericAPIError{Code: "InvalidMessageContents"}
		var calls [][]int
		s := sender(&calls, func(messages []int) (refused []Refusal, err error) {
			for i, m := range messages {
				switch {
				case m == 9: // always
					refused = append(refused, Refusal{i, busy})
				case m >= 7 && len(calls) < 3: // in the first two rounds
					refused = append(refused, Refusal{i, busy})
				case m == 4 || m == 8: // once it is looked at
					refused = append(refused, Refusal{i, bad})
				}
			}
			return refused, nil
		})
		s.MaxMessages, s.MaxBytes = 100, 1000
		messages := []int{4, 1, 7, 9, 2, 8}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		errs := s.Send(ctx, messages)
		if !slices.Equal(messages, []int{4, 1, 7, 9, 2, 8}) {
			t.Errorf("the caller's messages became %v", messages)
		}
		want := [][]int{{4, 1, 7, 9, 2, 8}, {7, 9, 8}, {7, 9, 8}, {9}}
		if len(calls) < 4 || !slices.EqualFunc(calls[:4], want, slices.Equal) {
			t.Errorf("calls %v, want %v and so on", calls, want)
		}
		if len(errs) != 6 || !errors.Is(errs[0], bad) || !errors.Is(errs[3], retry.ErrThrottled) || !errors.Is(errs[5], bad) {
			t.Fatalf("got %v", errs)
		}
		for _, taken := range []int{1, 2, 4} {
			if errs[taken] != nil {
				t.Errorf("message %d was taken: %v", taken, errs[taken])
			}
		}
	})
}

// TestACallThatFailsNamesItsMessages: not those of other calls.
func TestACallThatFailsNamesItsMessages(t *testing.T) {
	denied := &smithy.GenericAPIError{Code: "AccessDenied"}
	var calls [][]int
	s := sender(&calls, func(messages []int) ([]Refusal, error) {
		if slices.Contains(messages, 5) {
			return nil, denied
		}
		return nil, nil
	})
	s.Parallel = 4
	errs := s.Send(t.Context(), []int{1, 1, 1, 1, 5, 1, 2, 2, 2})
	for i, err := range errs {
		if want := i >= 3 && i < 6; errors.Is(err, denied) != want || (err != nil) != want {
			t.Errorf("message %d: %v", i, err)
		}
	}
	if len(errs) != 9 || len(calls) != 3 {
		t.Errorf("%d errors, calls %v", len(errs), calls)
	}
}
