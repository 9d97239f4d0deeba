package event

import "testing"

func TestCountedName(t *testing.T) {
	for want, e := range map[string]*Event{
		"Bought": {Type: Type_TYPE_TRACK, Name: "Bought"},
		"page":   {Type: Type_TYPE_PAGE, Name: "Home"},
		"alias":  {Type: Type_TYPE_ALIAS},
		"":       {Name: "Home"},
	} {
		if got := e.CountedName(); got != want {
			t.Errorf("%v is counted as %q, want %q", e, got, want)
		}
	}
}
