package stock

import (
	"errors"
	"strings"
)

var (
	// ErrUnknownProduct says that no product has this SKU.
	ErrUnknownProduct = errors.New("unknown product")
	// ErrReceiptReused says that a receipt id came again with other lines.
	ErrReceiptReused = errors.New("the receipt id was used for another delivery")
)

// UnknownSKUs are the SKUs of a delivery that are no products.
type UnknownSKUs []string

func (u UnknownSKUs) Error() string { return "unknown products: " + strings.Join(u, ", ") }
