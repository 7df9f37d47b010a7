package postgres

import (
	"fmt"

	"github.com/jackc/pgx/v5"

	"example.com/ballast/services/inventory/internal/stock"
)

// reservationRows are the parallel arrays of upsertReservations. One add fills
// all of them, so that their lengths cannot diverge.
type reservationRows struct {
	orderIDs                                             [][16]byte
	versions, previous, statusVersions, shipmentVersions []int64
	statuses, shipmentStatuses, reasons, details         []string
	skus, quantities                                     []string
	shortages                                            []*string
}

func (a *reservationRows) add(c stock.Change) error {
	shortages, err := encodeShortages(c.Shortages)
	if err != nil {
		return fmt.Errorf("encode the shortages of order %x: %w", c.OrderID, err)
	}
	skus, quantities := literals(c.Lines)
	a.orderIDs = append(a.orderIDs, c.OrderID)
	a.versions = append(a.versions, c.Version)
	a.previous = append(a.previous, c.Previous)
	a.statuses = append(a.statuses, string(c.Status))
	a.statusVersions = append(a.statusVersions, c.StatusVersion)
	a.shipmentStatuses = append(a.shipmentStatuses, string(c.Shipment.Status))
	a.shipmentVersions = append(a.shipmentVersions, c.Shipment.Version)
	a.reasons = append(a.reasons, string(c.Shipment.Reason))
	a.details = append(a.details, c.Shipment.Detail)
	a.skus = append(a.skus, skus)
	a.quantities = append(a.quantities, quantities)
	a.shortages = append(a.shortages, shortages)
	return nil
}

func reservationArgs(changes []stock.Change) (pgx.StrictNamedArgs, error) {
	var a reservationRows
	for _, c := range changes {
		if err := a.add(c); err != nil {
			return nil, err
		}
	}
	return pgx.StrictNamedArgs{
		"order_ids": a.orderIDs, "versions": a.versions, "previous": a.previous,
		"statuses": a.statuses, "status_versions": a.statusVersions,
		"shipment_statuses": a.shipmentStatuses, "shipment_versions": a.shipmentVersions,
		"shipment_reasons": a.reasons, "shipment_details": a.details,
		"skus": a.skus, "quantities": a.quantities, "shortages": a.shortages,
	}, nil
}

func movementArgs(movements []stock.Movement) pgx.StrictNamedArgs {
	var ids [][16]byte
	var kinds, skus, quantities []string
	for _, m := range movements {
		s, q := literals(m.Lines)
		ids, kinds = append(ids, m.OrderID), append(kinds, string(m.Kind))
		skus, quantities = append(skus, s), append(quantities, q)
	}
	return pgx.StrictNamedArgs{"order_ids": ids, "kinds": kinds, "skus": skus, "quantities": quantities}
}

func deltaArgs(deltas []stock.Delta) pgx.StrictNamedArgs {
	var skus []string
	var onHand, reserved []int64
	for _, d := range deltas {
		skus, onHand, reserved = append(skus, d.SKU), append(onHand, d.OnHand), append(reserved, d.Reserved)
	}
	return pgx.StrictNamedArgs{"skus": skus, "on_hand": onHand, "reserved": reserved}
}
