package profile

import "slices"

// addClaim notes on a user's fragment that an anonymous id belongs to it. The
// latest claimed ids are kept: a maximum per id, so it commutes. How early an
// id was claimed is kept only to spare the anonymous fragment needless writes.
func (s *State) addClaim(anonymousID string, first, last *Stamp) {
	i := slices.IndexFunc(s.Claims, func(c *Claim) bool { return c.Id == anonymousID })
	if i >= 0 {
		c := s.Claims[i]
		if first.Compare(c.First) < 0 {
			c.First = first
		}
		if last.Compare(c.Last) <= 0 {
			return
		}
		c.Last = last
		s.Claims = slices.Delete(s.Claims, i, i+1)
		s.Claims = slices.Insert(s.Claims, claimPlace(s.Claims, last), c)
		return
	}
	s.Claims = insertNewest(s.Claims, claimPlace(s.Claims, last), &Claim{Id: anonymousID, First: first, Last: last}, maxClaims)
}

// claimPlace is where a claim last made at goes, newest last.
func claimPlace(claims []*Claim, at *Stamp) int {
	i := len(claims)
	for i > 0 && claims[i-1].Last.Compare(at) > 0 {
		i--
	}
	return i
}

// Claim notes on an anonymous fragment that a user claims it since first, by an
// event accepted at receivedAt (Unix milliseconds), and reports whether that was
// news. The earliest claimants are kept, the earliest of all wins: a minimum per
// user, so it commutes.
func (f *Fragment) Claim(userID string, first *Stamp, receivedAt int64) (changed bool) {
	s := f.State
	i := slices.IndexFunc(s.Claims, func(c *Claim) bool { return c.Id == userID })
	if i >= 0 {
		c := s.Claims[i]
		later := receivedAt > c.ReceivedAt
		c.ReceivedAt = max(c.ReceivedAt, receivedAt)
		if first.Compare(c.First) >= 0 {
			return later
		}
		receivedAt = c.ReceivedAt
		s.Claims = slices.Delete(s.Claims, i, i+1)
	}
	i = 0
	for i < len(s.Claims) && s.Claims[i].First.Compare(first) < 0 {
		i++
	}
	if i >= maxClaimants {
		return false
	}
	s.Form = Form
	s.Claims = insert(s.Claims, i, &Claim{Id: userID, First: first, ReceivedAt: receivedAt}, maxClaimants)
	return true
}

// ErasedWith reports whether an anonymous fragment belongs to the user of head,
// and the user was erased since it claimed the fragment: the fragment is to be
// erased too.
func (f *Fragment) ErasedWith(head *Fragment) bool {
	user, _ := head.Key.User()
	return user != "" && f.Claimant() == user && f.State.Claims[0].ReceivedAt <= head.State.ErasedAt
}

// Claimants returns the users that claim an anonymous fragment, the one it
// belongs to first; none on a user's.
func (f *Fragment) Claimants() []string {
	if _, anonymous := f.Key.Anonymous(); !anonymous {
		return nil
	}
	users := make([]string, len(f.State.Claims))
	for i, c := range f.State.Claims {
		users[i] = c.Id
	}
	return users
}

// Claimant returns the user an anonymous fragment belongs to; empty when
// nobody claims it.
func (f *Fragment) Claimant() string {
	if _, anonymous := f.Key.Anonymous(); !anonymous || len(f.State.Claims) == 0 {
		return ""
	}
	return f.State.Claims[0].Id
}

// Knows reports whether a user's fragment has heard that the anonymous id was
// claimed at or before a time, so that the anonymous fragment knows it too.
func (f *Fragment) Knows(anonymousID string, at *Stamp) bool {
	i := slices.IndexFunc(f.State.Claims, func(c *Claim) bool { return c.Id == anonymousID })
	return i >= 0 && f.State.Claims[i].First.Compare(at) <= 0
}
