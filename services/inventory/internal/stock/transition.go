package stock

import (
	"fmt"
	"strings"
)

// CommandKind is one of the four things that can be asked of stock.
type CommandKind uint8

// The commands: two steps forward and their undoings.
const (
	Reserve CommandKind = iota + 1
	Release
	Ship
	CancelShipment
)

// Command is what orders asks for one order.
type Command struct {
	Kind    CommandKind
	OrderID OrderID
	// Lines of a Reserve, one per SKU.
	Lines []Line
	// Country of a Ship, ISO 3166-1 alpha-2.
	Country string
}

// AnswerKind is one of the six outcomes of a command.
type AnswerKind uint8

// The answers. Reserve gets Reserved or Rejected, Ship gets Scheduled or Refused.
const (
	Reserved AnswerKind = iota + 1
	Rejected
	Released
	Scheduled
	Refused
	Cancelled
)

// Answer is the outcome of a command, at a version of the order's record.
type Answer struct {
	Kind    AnswerKind
	OrderID OrderID
	Version int64
	// Reason of a Rejected or a Refused.
	Reason Reason
	// Shortages of a Rejected.
	Shortages []Shortage
	// Detail of a Refused, in words.
	Detail string
}

// MovementKind is the way in which units move.
type MovementKind string

// The movements of an order, each at most once. Receipts are the fifth kind and
// have rows of their own, since they belong to no order.
const (
	MoveReserve MovementKind = "reserve"
	MoveRelease MovementKind = "release"
	MoveShip    MovementKind = "ship"
	MoveUnship  MovementKind = "unship"
)

// Movement is a fact of the stock's journal; it is written once and never changed.
type Movement struct {
	OrderID OrderID
	Kind    MovementKind
	Lines   []Line
}

// apply decides one command on the order's record and on what is available, and
// changes both. It returns the answer and the movements that it caused, none when
// the command had been decided before.
func (d Decider) apply(r *Reservation, available map[string]int64, c Command) (Answer, []MovementKind) {
	switch c.Kind {
	case Reserve:
		return r.reserve(available, c.Lines)
	case Release:
		return r.release()
	case Ship:
		return r.ship(c.Country, d.unserved)
	case CancelShipment:
		return r.cancelShipment()
	default:
		panic(fmt.Errorf("stock: command of unknown kind %d", c.Kind))
	}
}

func (r *Reservation) reserve(available map[string]int64, lines []Line) (Answer, []MovementKind) {
	var moved []MovementKind
	if r.Status == StatusNone {
		r.Lines = lines
		if r.Shortages = shortages(available, lines); r.Shortages == nil {
			r.enter(StatusReserved)
			moved = []MovementKind{MoveReserve}
		} else {
			r.enter(StatusRejected)
		}
	}
	answer := Answer{OrderID: r.OrderID, Version: r.StatusVersion}
	switch r.Status {
	case StatusReserved:
		answer.Kind = Reserved
	case StatusRejected:
		answer.Kind, answer.Reason, answer.Shortages = Rejected, ReasonOutOfStock, r.Shortages
	default:
		answer.Kind, answer.Reason = Rejected, ReasonCancelled
	}
	return answer, moved
}

func (r *Reservation) release() (Answer, []MovementKind) {
	var moved []MovementKind
	if r.Status != StatusReleased {
		held, shipped := r.Status == StatusReserved, r.Shipped()
		r.enter(StatusReleased)
		if shipped {
			r.Shipment = Shipment{Status: ShipmentCancelled, Version: r.Version}
			moved = append(moved, MoveUnship)
		}
		if held {
			moved = append(moved, MoveRelease)
		}
	}
	return Answer{Kind: Released, OrderID: r.OrderID, Version: r.StatusVersion}, moved
}

func (r *Reservation) ship(country string, unserved map[string]bool) (Answer, []MovementKind) {
	var moved []MovementKind
	if r.Shipment.Status == ShipmentNone {
		switch country = strings.ToUpper(country); {
		case r.Status != StatusReserved:
			r.refuse(ReasonNotReserved, "no stock is reserved: the reservation is "+string(r.Status))
		case len(country) != 2 || unserved[country]:
			r.refuse(ReasonDestination, fmt.Sprintf("country %q is not served", country))
		default:
			r.Version++
			r.Shipment = Shipment{Status: ShipmentScheduled, Version: r.Version}
			moved = []MovementKind{MoveShip}
		}
	}
	answer := Answer{OrderID: r.OrderID, Version: r.Shipment.Version}
	switch r.Shipment.Status {
	case ShipmentScheduled:
		answer.Kind = Scheduled
	case ShipmentRefused:
		answer.Kind, answer.Reason, answer.Detail = Refused, r.Shipment.Reason, r.Shipment.Detail
	default:
		answer.Kind, answer.Reason, answer.Detail = Refused, ReasonCancelled, "the shipment is cancelled"
	}
	return answer, moved
}

func (r *Reservation) cancelShipment() (Answer, []MovementKind) {
	var moved []MovementKind
	if r.Shipment.Status != ShipmentCancelled {
		if r.Shipped() {
			moved = []MovementKind{MoveUnship}
		}
		r.Version++
		r.Shipment = Shipment{Status: ShipmentCancelled, Version: r.Version}
	}
	return Answer{Kind: Cancelled, OrderID: r.OrderID, Version: r.Shipment.Version}, moved
}

// enter changes the hold's status as the next version.
func (r *Reservation) enter(status Status) {
	r.Version++
	r.Status, r.StatusVersion = status, r.Version
}

// refuse ends the shipment before it began, as the next version.
func (r *Reservation) refuse(reason Reason, detail string) {
	r.Version++
	r.Shipment = Shipment{Status: ShipmentRefused, Version: r.Version, Reason: reason, Detail: detail}
}

// shortages returns the lines that are not available, nil when all are. A SKU
// that is not on the shelf at all is available zero times.
func shortages(available map[string]int64, lines []Line) []Shortage {
	var short []Shortage
	for _, l := range lines {
		if left := available[l.SKU]; left < int64(l.Quantity) {
			short = append(short, Shortage{SKU: l.SKU, Requested: l.Quantity, Available: left})
		}
	}
	return short
}
