package main

import (
	"log/slog"
	"os"
	"time"

	"example.com/ballast/services/provider/internal/bank"
)

// openBank rebuilds the bank from its book, and says what was found.
func openBank(cfg config, logger *slog.Logger) (*bank.Bank, error) {
	var sync func(*os.File) error
	if cfg.BookFsync {
		sync = (*os.File).Sync
	}
	started := time.Now()
	b, recovered, err := bank.Open(bank.Config{
		BookFile: cfg.BookFile, Sync: sync, KeyTTL: cfg.KeyTTL, MaxIntents: cfg.MaxIntents, Now: time.Now,
	})
	if err != nil {
		return nil, err
	}
	if recovered.TornBytes > 0 {
		logger.Warn("cut off a torn last line, which was never answered", "bytes", recovered.TornBytes)
	}
	intents, refunds := b.Counts()
	logger.Info("book open", "file", cfg.BookFile, "fsync", cfg.BookFsync, "lines", recovered.Lines,
		"intents", intents, "refunds", refunds, "took", time.Since(started).String())
	return b, nil
}
