package profile

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/hitolayer/hito/shared/event"
)

// Standing is whether a person is in a segment now.
type Standing struct {
	Segment string
	In      bool
	// Undecided leaves the membership as it is, whatever In says.
	Undecided bool
}

// Change is what deciding a person's segments did to the head fragment.
type Change struct {
	// Head reports whether it changed the head, which is then to be saved.
	Head bool
	// Sizes is by how much each segment grew.
	Sizes map[string]int64
}

func (c *Change) size(segment string, by int64) {
	if c.Sizes == nil {
		c.Sizes = make(map[string]int64)
	}
	c.Sizes[segment] += by
}

// In reports whether the person is in the segment.
func (m *Membership) In() bool { return m.GetChanges()%2 == 1 }

// In reports whether the fragment's person was last decided to be in the segment.
func (f *Fragment) In(segment string) bool {
	m, _ := f.State.membership(segment)
	return m.In()
}

// Due reports whether the other cloud's time to tell of the fragment's last change is over.
func (f *Fragment) Due(segment string, now time.Time) bool {
	m, _ := f.State.membership(segment)
	return m.due(now)
}

func (m *Membership) due(now time.Time) bool { return m.GetDue() > 0 && m.Due <= now.UnixMilli() }

// InSegments returns in how many segments the fragment's person is.
func (f *Fragment) InSegments() (n int) {
	for _, m := range f.State.Memberships {
		if m.In() {
			n++
		}
	}
	return n
}

func (s *State) membership(segment string) (m *Membership, place int) {
	i, found := slices.BinarySearchFunc(s.Memberships, segment, func(m *Membership, segment string) int {
		return strings.Compare(m.Segment, segment)
	})
	if found {
		return s.Memberships[i], i
	}
	return nil, i
}

// change counts one change of membership, as one that was told.
func (s *State) change(segment string) *Membership {
	m, i := s.membership(segment)
	if m == nil {
		m = &Membership{Segment: segment}
		s.Memberships = slices.Insert(s.Memberships, i, m)
	}
	m.Changes++
	m.Untold, m.Due = 0, 0
	return m
}

// Decide compares where the person stands with the memberships the head keeps,
// changes these and puts one transition per change into the head's outbox. A
// segment that standings does not name is no more: who was in it leaves silently.
//
// With a hold, there is another cloud that decides the same: whichever received
// the person's newest events tells of changes at once, and this one of those that
// the other has not told within the hold. What is undone meanwhile is never told.
func (p *Person) Decide(standings []Standing, now time.Time, hold time.Duration) (c Change) {
	p.absorb(&c)
	for _, m := range p.Head.State.Memberships {
		if m.In() && !slices.ContainsFunc(standings, func(st Standing) bool { return st.Segment == m.Segment }) {
			p.Head.State.change(m.Segment)
			c.Head = true
			c.size(m.Segment, -1)
		}
	}
	away := hold > 0 && p.away()
	for _, st := range standings {
		m, _ := p.Head.State.membership(st.Segment)
		switch {
		case st.Undecided || m == nil && !st.In:
			continue
		case m.In() != st.In:
			untold := m.GetUntold() + 1
			m = p.Head.State.change(st.Segment)
			if st.In {
				c.size(st.Segment, 1)
			} else {
				c.size(st.Segment, -1)
			}
			switch {
			case untold%2 == 0: // it undoes one that was not told
				m.Untold = untold
			case away:
				m.Untold, m.Due = untold, now.Add(hold).UnixMilli()
			default:
				p.Head.tell(m, now)
			}
		case m.due(now):
			p.Head.tell(m, now)
		default:
			continue
		}
		c.Head = true
	}
	return c
}

// tell puts a membership's last change into the outbox.
func (f *Fragment) tell(m *Membership, now time.Time) {
	m.Untold, m.Due = 0, 0
	f.State.Outbox = append(f.State.Outbox, &Transition{
		Id:      TransitionID(f, m.Segment, m.Changes),
		Segment: m.Segment, Entered: m.In(), At: now.UnixMilli(), Changes: m.Changes,
	})
}

// away reports whether the person's newest receipt is the other cloud's.
func (p *Person) away() bool {
	newest := p.Head.State
	for _, f := range p.Claimed {
		if f.State.ReceivedUntil > newest.ReceivedUntil {
			newest = f.State
		}
	}
	return newest.Away
}

// Hear takes in what the other cloud has told of the fragment's person, and reports
// whether that changed anything. This cloud's next change has a greater number than
// any it has heard of, so that its id is another. Should it still see the opposite
// at due, it tells that.
func (f *Fragment) Hear(told []*event.Told, due time.Time) (changed bool) {
	for _, t := range told {
		m, i := f.State.membership(t.Segment)
		if m == nil {
			m = &Membership{Segment: t.Segment}
			f.State.Memberships = slices.Insert(f.State.Memberships, i, m)
		}
		if t.Changes <= m.Changes-m.Untold {
			continue
		}
		changed = true
		if (t.Changes%2 == 1) == m.In() {
			m.Changes, m.Due = max(m.Changes, t.Changes), 0
		} else {
			m.Changes, m.Due = max(m.Changes, t.Changes+1), cmp.Or(m.Due, due.UnixMilli())
		}
		m.Untold = m.Changes - t.Changes
	}
	return changed
}

// absorb takes over the memberships that claimed anonymous fragments gathered
// on their own, silently: who entered a segment before logging in does not
// enter it again by logging in.
func (p *Person) absorb(c *Change) {
	for _, claim := range p.Head.State.Claims {
		i := slices.IndexFunc(p.Claimed, func(f *Fragment) bool {
			id, _ := f.Key.Anonymous()
			return id == claim.Id
		})
		if i < 0 || claim.Absorbed {
			continue
		}
		for _, m := range p.Claimed[i].State.Memberships {
			if !m.In() {
				continue
			}
			c.Head, claim.Absorbed = true, true
			if own, _ := p.Head.State.membership(m.Segment); own.In() {
				c.size(m.Segment, -1) // two members became one
			} else {
				p.Head.State.change(m.Segment)
			}
		}
	}
}

// TransitionID is the identity of the nth change of a head's membership. It
// depends on nothing else, so that a change decided again, by a redelivery or in
// another cloud, is known again.
func TransitionID(head *Fragment, segment string, n int64) string {
	h := sha256.New()
	for _, s := range []string{head.Key.Project, head.Key.Visitor, segment} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(head.State.ErasedAt)))
	return hex.EncodeToString(h.Sum(nil)[:16])
}
