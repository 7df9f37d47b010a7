// Package stock is the domain of inventory: what may be held, sent off and given
// back, and in which order. It is pure: time, ids and the rows that it decides on
// come in as arguments, and what it decides comes out as values.
//
// Invariants:
//   - An order holds all of its lines or none.
//   - Units move once per order and kind of movement, and the movements of a SKU
//     add up to its level: received - shipped = on hand, reserved <= on hand.
//   - A command that was decided gets the same answer again, with the same version.
//   - An undoing is final: it is written down even if what it undoes was never
//     seen, and makes that impossible from then on.
package stock

import "example.com/ballast/pkg/money"

// OrderID is the UUID of an order; stock knows no more of an order than this.
type OrderID [16]byte

// Line is a quantity of one SKU, in units, more than zero.
type Line struct {
	SKU      string
	Quantity int32
}

// Shortage is a SKU that was asked for beyond what was available at that moment.
// Its names in JSON are those of the stored answer.
type Shortage struct {
	SKU       string `json:"sku"`
	Requested int32  `json:"requested"`
	Available int64  `json:"available"`
}

// Product can be ordered. Its version rises with every change.
type Product struct {
	SKU         string
	Description string
	Price       money.Money
	Version     int64
	Deleted     bool
}

// Level is what is known of one SKU: the columns OnHand and Reserved, and the
// sums Received and Shipped of the movements, from which OnHand can be proven.
type Level struct {
	SKU      string
	OnHand   int64
	Reserved int64
	Received int64
	Shipped  int64
}

// Reason says why a command was rejected.
type Reason string

// The reasons of a rejection.
const (
	// ReasonOutOfStock says that at least one SKU was short.
	ReasonOutOfStock Reason = "out_of_stock"
	// ReasonCancelled says that the step was undone before it was done.
	ReasonCancelled Reason = "cancelled"
	// ReasonDestination says that the country is not served.
	ReasonDestination Reason = "destination"
	// ReasonNotReserved says that there is nothing to send off.
	ReasonNotReserved Reason = "not_reserved"
)

// Status is what became of a reservation.
type Status string

// The states of a reservation.
const (
	StatusNone     Status = "none"
	StatusReserved Status = "reserved"
	StatusRejected Status = "rejected"
	StatusReleased Status = "released"
)

// ShipmentStatus is what became of a shipment.
type ShipmentStatus string

// The states of a shipment.
const (
	ShipmentNone      ShipmentStatus = "none"
	ShipmentScheduled ShipmentStatus = "scheduled"
	ShipmentRefused   ShipmentStatus = "refused"
	ShipmentCancelled ShipmentStatus = "cancelled"
)

// Reservation is the record of one order: its hold on stock and its shipment.
// Both are one aggregate with one sequence of versions, so that the answers of
// one order are numbered 1, 2, 3 without a gap and one guard protects both.
//
//	hold:      none --reserve--> reserved --release--> released
//	           none --reserve--> rejected --release--> released
//	           none --release-------------------------> released
//
//	shipment:  none --ship--> scheduled --cancel--> cancelled
//	           none --ship--> refused   --cancel--> cancelled
//	           none --cancel----------------------> cancelled
//
// Units leave the shelf while the hold is reserved and the shipment scheduled.
// Releasing a hold whose shipment is still scheduled cancels the shipment too:
// orders always cancels it first, but an undoing must never fail, and units that
// nobody holds cannot be on their way.
type Reservation struct {
	OrderID OrderID
	// Version counts the changes; zero means never seen.
	Version int64
	// Lines are held, or were, or were asked for; they never change once set.
	Lines  []Line
	Status Status
	// StatusVersion is the version at which Status was entered.
	StatusVersion int64
	// Shortages are why Status is rejected, kept to give the same answer again.
	Shortages []Shortage
	Shipment  Shipment
}

// Shipment is the second half of a Reservation.
type Shipment struct {
	Status ShipmentStatus
	// Version of the reservation at which Status was entered.
	Version int64
	// Reason and Detail are why Status is refused.
	Reason Reason
	Detail string
}

// Shipped tells whether the units have left the shelf.
func (r *Reservation) Shipped() bool {
	return r.Status == StatusReserved && r.Shipment.Status == ShipmentScheduled
}
