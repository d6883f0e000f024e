// Package link is how gateways and their management server speak, both ends.
//
// A gateway calls the management address, and asks in the TLS handshake for the link
// by its own name, so that browsers and scripts are never asked for a certificate.
// Both ends know each other by their public keys alone: no name, no authority and no
// expiry stops the link. What a gateway may do follows from its key being registered,
// which is looked up at each request: a key that was deleted is a stranger at once.
//
// It promises that
//
//   - a key is registered by the *secure* password, by a key exchange (CPace) from which
//     neither a stranger nor somebody in the middle learns anything to guess with
//     later, or by a registration token, which is shown to no server but the one that
//     it names;
//   - strangers are bounded in number, time and memory, and wrong guesses in rate;
//   - a message is bounded before it is read.
package link
