package flux

import (
	"fmt"
	"time"
)

// How often Flux looks and applies, as in the D2 reference architecture.
const (
	defaultInterval = "5m"  // for a tag to be looked at
	applyInterval   = "30m" // for drift to be put right
	retryInterval   = "5m"
	applyTimeout    = "5m"
)

// checkTimes demands durations as Flux reads them; "" is the default.
func checkTimes(durations ...string) error {
	for _, text := range durations {
		if text == "" {
			continue
		}
		if d, err := time.ParseDuration(text); err != nil || d <= 0 {
			return fmt.Errorf("%w: %q is not a duration such as 5m", ErrInput, text)
		}
	}
	return nil
}
