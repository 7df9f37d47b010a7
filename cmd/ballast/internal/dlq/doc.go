// Package dlq works off dead letters: what a consumer group has given up lies in
// <topic>.<group>.dlq, and an operator decides what becomes of it.
//
//	replay   <topic>.<group>.retry       its group handles it again
//	         <topic>.<group>.quarantine  when it was replayed too often already
//	discard  <topic>.<group>.discarded   with the reason, who and when
//	neither  stays, or goes to the end of its own topic when others behind it went
//
// # Invariants
//
//   - A letter is in one place at a time. Each step is a Kafka transaction over
//     the records written and the offset of a group of the operators' own,
//     <group>.dlq-replay, so a tool that is killed leaves all of a step or
//     nothing. The next run begins where the last one got to.
//   - What is left is what lies above that offset: the group's lag says so to
//     anybody who watches lags. It is zero when nothing is left; else it may
//     count a transaction's marker as a letter.
//   - What lies below is deleted. Kafka forgets the offsets of a group without
//     members after a week, and everything that was ever decided would be open
//     again.
//   - Key, value and original headers stay byte for byte, everywhere.
//   - One operator at a time moves letters of a topic. The transactional id is
//     the topic's, so whoever begins ends the transaction of whoever was there
//     before, who is told so and has done nothing by halves.
//   - One run ends where the topic ended when it began: letters that come back
//     while it goes on, and those that it put at the end itself, are for the next.
//
// Every letter may reach its handler again although it was handled: a group
// commits after it has handled. The handlers are idempotent by the states of
// their aggregates, and so a replay that is repeated changes nothing.
package dlq
