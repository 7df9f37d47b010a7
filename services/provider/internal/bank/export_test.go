package bank

// KeysHeld is how many stored answers are in memory.
func (b *Bank) KeysHeld() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.keys.young) + len(b.keys.old)
}
