import Messenger
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Keeps other servers from a file: two would each give out times of their own.
///
/// A file beside that one is locked, since SQLite has locks of its own on it, which the closing of any other descriptor
/// would end. The system takes the lock back when the process ends, however it ends.
final class FileLock: Sendable {
    private let descriptor: Mutex<Int32?>

    /// Takes the lock.
    init(path: String) throws(StartError) {
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard file >= 0 else {
            throw StartError(.unavailable, "Cannot open the history: \(path): \(String(cString: strerror(errno)))")
        }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            close(file)
            throw StartError(.unavailable, "The history is in use by another server, which holds \(path)")
        }
        descriptor = Mutex(file)
    }

    deinit {
        release()
    }

    /// Gives the lock back.
    func release() {
        descriptor.withLock { descriptor in
            if let descriptor { close(descriptor) }
            descriptor = nil
        }
    }
}
