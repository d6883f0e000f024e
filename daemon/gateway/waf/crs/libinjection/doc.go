// Package libinjection finds SQL injection. It is the part for SQL of Coraza's
// libinjection-go 0.3.3 (LICENSE), with one change: whether a quote in a string is escaped is
// read from the bytes before it. There, the whole rest of the text is searched for in the string,
// for each doubled or escaped quote: a MiB with many of them takes it minutes. Its answers are the same,
// but for a text that ends as an earlier part of a string does: there it looks before that part.
package libinjection
