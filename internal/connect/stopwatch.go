package connect

import "time"

// stopwatch counts the time that has passed, also while the process was frozen, as AWS
// Lambda does between two events: then the clock of the process stands still and the
// time of day goes on. By that clock alone a bucket would not fill meanwhile. By the
// time of day alone it would stand still when that is set back, and so would whoever
// waits. So the clock of the process counts, and beside it each leap that the time of
// day makes forward. A leap that is none of a freeze fills a bucket, once. The zero
// value is ready.
type stopwatch struct {
	read func() (day time.Time, process time.Duration) // nil: the clocks of the machine

	begun   time.Time     // on the clock of the process
	day     time.Time     // the time of day when both clocks were last compared
	process time.Duration // and the time of the process
	leapt   time.Duration // all leaps together
}

// apart is how far the two clocks may be apart from one reading to another without
// being a leap: they are not read at quite the same moment.
const apart = 100 * time.Millisecond

// now never goes back. It is comparable with what the same stopwatch gave alone.
func (s *stopwatch) now() time.Time {
	read := s.read
	if read == nil {
		read = s.machine
	}
	day, process := read()
	leap := day.Sub(s.day) - (process - s.process)
	switch {
	case s.day.IsZero(), leap < -apart:
		s.day, s.process = day, process
	case leap > apart:
		s.day, s.process = day, process
		s.leapt += leap
	}
	return time.Unix(0, 0).Add(process + s.leapt)
}

// machine reads the clocks of the machine. Without Round, Sub would count by the clock
// of the process.
func (s *stopwatch) machine() (day time.Time, process time.Duration) {
	now := time.Now()
	if s.begun.IsZero() {
		s.begun = now
	}
	return now.Round(0), now.Sub(s.begun)
}
