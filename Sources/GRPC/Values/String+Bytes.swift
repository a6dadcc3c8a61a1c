// Text that a peer chose is compared and hashed by its bytes. `==` and `hash(into:)` of `String` normalise both sides
// first: that takes quadratic time in a run of combining marks, and makes different keys equal.

extension String {
    /// Whether both texts have the same UTF-8 bytes.
    package func hasBytes(of other: String) -> Bool {
        utf8.count == other.utf8.count && utf8.elementsEqual(other.utf8)
    }

    /// Hashes the UTF-8 bytes, to go with ``hasBytes(of:)``.
    package func hashBytes(into hasher: inout Hasher) {
        var text = self
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
