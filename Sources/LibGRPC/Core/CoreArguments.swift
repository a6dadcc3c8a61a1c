internal import CGRPC

/// The value of one of the core's arguments. Literals of integers, booleans and strings are values too.
public enum CoreArgument: Sendable, Hashable {
    /// A number. The core's integers have 32 bits, so a number beyond them becomes the nearest one.
    case integer(Int)
    /// A text. The core ends it at its first NUL.
    case string(String)
}

extension CoreArgument: ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral, ExpressibleByStringLiteral {
    /// A number.
    public init(integerLiteral value: Int) {
        self = .integer(value)
    }

    /// 1 for `true`, 0 for `false`: the core's booleans are numbers.
    public init(booleanLiteral value: Bool) {
        self = .integer(value ? 1 : 0)
    }

    /// A text.
    public init(stringLiteral value: String) {
        self = .string(value)
    }
}

/// The arguments of a channel or server for the core.
///
/// The core copies them, so their memory need only live during ``withCoreArguments(_:)``.
struct CoreArguments {
    /// One value for a name: the core does not say which one of several counts.
    private var values: [String: CoreArgument] = [:]
    private var resourceQuota: ResourceQuota?
    private var socket: ChannelSocket?
    private var externalListeners: ExternalListener.Factory?

    mutating func set(_ key: String, _ value: Int) {
        values[key] = .integer(value)
    }

    mutating func set(_ key: String, _ value: Bool) {
        values[key] = .integer(value ? 1 : 0)
    }

    mutating func set(_ key: String, _ value: String) {
        values[key] = .string(value)
    }

    /// Sets what a program has asked for by name. It replaces values that are set already.
    mutating func set(_ arguments: [String: CoreArgument]) {
        values.merge(arguments) { $1 }
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
        for (key, value) in values {
            var entry = grpc_arg()
            entry.key = copy(key)
            switch value {
            case .integer(let integer):
                entry.type = GRPC_ARG_INTEGER
                entry.value.integer = Int32(clamping: integer)
            case .string(let string):
                entry.type = GRPC_ARG_STRING
                entry.value.string = copy(string)
            }
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
