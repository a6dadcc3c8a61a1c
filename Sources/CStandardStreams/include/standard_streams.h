// Linked into a program, this makes sure before `main` that the standard streams exist, and that no signal ends or stops
// the process when it writes to them. There is nothing to call.
