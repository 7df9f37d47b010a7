package stream

import "time"

// KeepLags sets how long what the brokers have said is shown, and asks for all of
// it each second. It is called before Run.
func (c *Consumer) KeepLags(d time.Duration) {
	c.lags.records.Keep, c.lags.letters.Keep, c.lags.letters.Every = d, d, lagEvery
}
