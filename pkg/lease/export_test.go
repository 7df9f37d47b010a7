package lease

// Ended is what Run decides by when work has returned.
var Ended = ended
