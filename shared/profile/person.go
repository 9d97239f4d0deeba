package profile

import "time"

// Person is the view over a user's fragment and the anonymous fragments that
// user claims, or over an anonymous fragment nobody claims.
type Person struct {
	// Head is the fragment that keeps the person's memberships.
	Head *Fragment
	// Claimed are the anonymous fragments whose winning claim is the head's user.
	Claimed []*Fragment
	// view is the fold over all of them: Head.State itself when it is alone.
	view *State
}

// Session is a run of events with no gap of 30 minutes.
type Session struct {
	Start, End time.Time
	Events     int
}
