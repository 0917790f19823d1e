package jobs

import (
	"fmt"
	"time"

	"tongxiang/internal/retry"
	"tongxiang/internal/store"
)

// Recordings that end are told of. Those that came into the library otherwise, made
// anew from the folders by a server or by a command, are looked for: they have no
// thumbnail, and no job for one is listed. A library of many years is taken in pieces.

const (
	// seekEvery is how often they are looked for.
	seekEvery = 10 * time.Minute
	// seekMost is how many are taken at once.
	seekMost = 300
	// seekBelow is how many jobs may wait at most for more to be taken: people's own
	// are to find room.
	seekBelow = MaxQueue / 2
)

// seek queues what is made of every recording for those that nobody told of, until the
// service ends.
func (s *Service) seek() {
	for {
		if s.cfg.Ready == nil || s.cfg.Ready() {
			if err := s.sought(); err != nil && s.ctx.Err() == nil {
				s.log.Error("recordings without pictures were not looked for", "err", err)
			}
		}
		if !retry.Sleep(s.ctx, seekEvery) {
			return
		}
	}
}

func (s *Service) sought() error {
	n, err := s.store.CountJobs(s.ctx)
	if err != nil {
		return err
	}
	waiting := 0
	for _, kind := range n[store.JobQueued] {
		waiting += kind
	}
	if waiting >= seekBelow {
		return nil
	}
	l, err := s.store.Unpictured(s.ctx, seekMost)
	if err != nil {
		return fmt.Errorf("look for recordings: %w", err)
	}
	for _, rec := range l {
		s.Ended(s.ctx, rec)
	}
	if len(l) > 0 {
		s.log.Info("jobs of recordings that came in otherwise are queued", "recordings", len(l))
	}
	return nil
}
