// Linked into a program, this makes sure before `main` that the standard streams exist, that no signal ends or stops the
// process when it writes to them, and that it may start threads. There is nothing to call.
