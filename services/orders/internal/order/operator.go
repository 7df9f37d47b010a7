package order

// Resume is an operator's wish that the order waits anew: the command that is not
// answered is sent again, with all of its time and re-sends.
type Resume struct{ By By }

// Settle is an operator's word on how the order has ended in the world. Whether the
// books agree is checked from outside, as for any other order.
type Settle struct {
	By By
	As Status // Confirmed or Cancelled
}

// cancel begins the undoing. A customer can't when a person must decide; an
// operator is that person. What may have been done then is what was not yet
// answered undone; after a confirmation that was contradicted, everything.
func (d *decision) cancel(f Cancel) error {
	e := CancellationStarted{Reason: ByCustomer, Detail: f.Detail, By: f.By}
	operator := f.By != By{}
	if operator {
		e.Reason, e.Detail = ByOperator, "cancelled by an operator"
	}
	switch d.s.Status {
	case Placed, Reserved, Charged:
		e.Undo = upTo(d.s.Status.pending())
	case Cancelling, Cancelled:
		return nil
	case Confirmed:
		return ErrConfirmed
	case NeedsOperator:
		if !operator {
			return ErrNeedsOperator
		}
		if e.Undo = d.s.Undo; e.Undo == 0 {
			e.Undo = upTo(Ship)
		}
		if d.s.Reason != NoReason {
			e.Reason = d.s.Reason // Why it was cancelled in the first place.
		}
	}
	d.compensate(e)
	return nil
}

// resume sends the outstanding command again. A wait that has only just begun is
// left alone, so that the repeated wish changes nothing.
func (d *decision) resume(f Resume) error {
	switch {
	case d.s.Status == NeedsOperator && d.s.Undo == 0:
		return ErrNothingToResume
	case d.s.Status == NeedsOperator:
	case !d.s.Status.Open() || d.s.Resends == 0:
		return nil
	}
	e := Resumed{By: f.By, Undo: d.s.Undo, Deadline: d.deadline()}
	d.emit(e)
	if e.Undo != 0 {
		d.send(e.Undo.Last(), true)
	} else {
		d.send(d.s.Awaits(), false)
	}
	return nil
}

// settle ends an order that the platform can't end. Repeated, it changes nothing.
// What was still to be undone for a cancellation is asked for once more, and not
// waited for: who gave the money back by hand has not released the stock.
func (d *decision) settle(f Settle) error {
	switch {
	case d.s.Status == NeedsOperator:
		d.emit(Settled(f))
		for left := d.s.Undo; f.As == Cancelled && left != 0; left = left.Without(left.Last()) {
			d.send(left.Last(), true)
		}
	case d.s.Status.Open():
		return ErrStillOpen
	case d.s.Status != f.As:
		return ErrEnded
	}
	return nil
}
