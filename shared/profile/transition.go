package profile

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"time"
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

// change counts one change of membership.
func (s *State) change(segment string) *Membership {
	m, i := s.membership(segment)
	if m == nil {
		m = &Membership{Segment: segment}
		s.Memberships = slices.Insert(s.Memberships, i, m)
	}
	m.Changes++
	return m
}

// Decide compares where the person stands with the memberships the head keeps,
// changes these and puts one transition per change into the head's outbox. A
// segment that standings does not name is no more: who was in it leaves silently.
func (p *Person) Decide(standings []Standing, now time.Time) (c Change) {
	p.absorb(&c)
	for _, m := range p.Head.State.Memberships {
		if m.In() && !slices.ContainsFunc(standings, func(st Standing) bool { return st.Segment == m.Segment }) {
			p.Head.State.change(m.Segment)
			c.Head = true
			c.size(m.Segment, -1)
		}
	}
	for _, st := range standings {
		m, _ := p.Head.State.membership(st.Segment)
		if st.Undecided || m.In() == st.In {
			continue
		}
		m = p.Head.State.change(st.Segment)
		p.Head.State.Outbox = append(p.Head.State.Outbox, &Transition{
			Id:      TransitionID(p.Head, m.Segment, m.Changes),
			Segment: st.Segment, Entered: st.In, At: now.UnixMilli(),
		})
		c.Head = true
		if st.In {
			c.size(st.Segment, 1)
		} else {
			c.size(st.Segment, -1)
		}
	}
	return c
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
