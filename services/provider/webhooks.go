package main

import (
	"context"
	"log/slog"

	"example.com/ballast/services/provider/internal/api"
	"example.com/ballast/services/provider/internal/bank"
	"example.com/ballast/services/provider/internal/book"
	"example.com/ballast/services/provider/internal/faults"
	"example.com/ballast/services/provider/internal/webhook"
)

// telling returns when the event of a line of the book was delivered; nil when
// no events are sent.
type telling func(ctx context.Context, line int64)

// tell delivers events until stop: they go on while the last calls are answered.
func tell(ctx context.Context, cfg config, b *bank.Bank, f *faults.Faults, logger *slog.Logger) (told telling, stop func() error, err error) {
	if cfg.WebhookURL == "" {
		return nil, func() error { return nil }, nil
	}
	sender, err := webhook.New(webhook.Config{
		URL: cfg.WebhookURL, Secret: cfg.WebhookSecret, Book: b.Book(), BookID: b.ID(), Cursor: cfg.BookFile + ".told",
		Event: func(e *book.Entry) (string, any, bool) { return api.Event(b, e) },
		Fate:  f.DrawDelivery, Logger: logger,
	})
	if err != nil {
		return nil, nil, err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() {
		err := sender.Run(running)
		if err != nil {
			logger.Error("no more events are sent", "error", err)
		}
		done <- err
	}()
	return sender.Told, func() error { cancel(); return <-done }, nil
}
