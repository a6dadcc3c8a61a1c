internal import CGRPC

/// The arguments of a channel or server for the core.
///
/// The core copies them, so their memory need only live during ``withCoreArguments(_:)``.
struct CoreArguments {
    private var integers: [(key: String, value: Int32)] = []
    private var strings: [(key: String, value: String)] = []
    private var resourceQuota: ResourceQuota?
    private var socket: ChannelSocket?
    private var externalListeners: ExternalListener.Factory?

    mutating func set(_ key: String, _ value: Int) {
        integers.append((key, Int32(clamping: value)))
    }

    mutating func set(_ key: String, _ value: Bool) {
        integers.append((key, value ? 1 : 0))
    }

    mutating func set(_ key: String, _ value: String) {
        strings.append((key, value))
    }

    mutating func set(_ quota: ResourceQuota) {
        resourceQuota = quota
    }

    mutating func set(_ socket: ChannelSocket) {
        self.socket = socket
    }

    mutating func set(_ externalListeners: ExternalListener.Factory) {
        self.externalListeners = externalListeners
    }

    /// Sets whole milliseconds. `nil` leaves the core's default.
    mutating func setMilliseconds(_ key: String, _ value: Duration?) {
        guard let value else { return }
        set(key, Int(min(max(value / .milliseconds(1), 0), Double(Int32.max))))
    }

    func withCoreArguments<Result>(_ body: (UnsafePointer<grpc_channel_args>) -> Result) -> Result {
        var allocated: [UnsafeMutablePointer<CChar>?] = []
        defer { allocated.forEach { gpr_free($0) } }
        func copy(_ string: String) -> UnsafeMutablePointer<CChar>? {
            let copy = gpr_strdup(string)
            allocated.append(copy)
            return copy
        }
        var entries: [grpc_arg] = []
        for (key, value) in integers {
            var entry = grpc_arg()
            entry.type = GRPC_ARG_INTEGER
            entry.key = copy(key)
            entry.value.integer = value
            entries.append(entry)
        }
        for (key, value) in strings {
            var entry = grpc_arg()
            entry.type = GRPC_ARG_STRING
            entry.key = copy(key)
            entry.value.string = copy(value)
            entries.append(entry)
        }
        if let resourceQuota {
            var entry = grpc_arg()
            entry.type = GRPC_ARG_POINTER
            entry.key = copy(GRPC_ARG_RESOURCE_QUOTA)
            entry.value.pointer.p = UnsafeMutableRawPointer(resourceQuota.handle)
            entry.value.pointer.vtable = grpc_resource_quota_arg_vtable()
            entries.append(entry)
        }
        let watch = socket?.makeWatch()
        defer { if let watch { cgrpc_socket_watch_unreference(watch) } }
        if let watch {
            var entry = grpc_arg()
            entry.type = GRPC_ARG_POINTER
            entry.key = copy(GRPC_ARG_SOCKET_MUTATOR)
            entry.value.pointer.p = UnsafeMutableRawPointer(watch)
            entry.value.pointer.vtable = cgrpc_socket_watch_arguments()
            entries.append(entry)
        }
        if let externalListeners { entries.append(externalListeners.argument) }
        // The core retains the quota while it copies the arguments.
        defer { extendLifetime(resourceQuota) }
        return entries.withUnsafeMutableBufferPointer { entries in
            var arguments = grpc_channel_args(num_args: entries.count, args: entries.baseAddress)
            return body(&arguments)
        }
    }
}
