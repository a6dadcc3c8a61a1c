internal import CGRPCServices
internal import LibGRPC

/// Finds descriptors of `.proto` files by file name, symbol and extension.
public struct DescriptorIndex: Sendable {
    struct Extension: Hashable, Sendable {
        var extendee: Name
        var number: Int32
    }

    private struct File: Sendable {
        var descriptor: [UInt8]
        var dependencies: [Name]
    }

    private var files: [Name: File] = [:]
    private var fileOfSymbol: [Name: Name] = [:]
    private var fileOfExtension: [Extension: Name] = [:]
    private var messages: Set<Name> = []
    /// The full names of all services, in the order of the files.
    public private(set) var services: [String] = []

    /// - Parameter sets: Serialized `google.protobuf.FileDescriptorSet`s, as `protoc --include_imports
    ///   --descriptor_set_out` writes them. Files that are in several of them count once.
    /// - Throws: ``RPCError`` with `INVALID_ARGUMENT` for other bytes.
    public init(descriptorSets sets: [[UInt8]]) throws {
        for set in sets {
            let files = try ByteBuffer(set).unpacked {
                grpc__reflection__index__file_set__unpack(nil, $0, $1)
            } free: {
                grpc__reflection__index__file_set__free_unpacked($0, nil)
            } _: { set in
                UnsafeBufferPointer(start: set.file, count: set.n_file).map(\.bytes)
            }
            for file in files { try add(file) }
        }
    }

    private mutating func add(_ descriptor: [UInt8]) throws {
        try ByteBuffer(descriptor).unpacked {
            grpc__reflection__index__file__unpack(nil, $0, $1)
        } free: {
            grpc__reflection__index__file__free_unpacked($0, nil)
        } _: { file in
            let name = file.name.name
            guard files[name] == nil else { return }
            let dependencies = UnsafeBufferPointer(start: file.dependency, count: file.n_dependency).map(\.name)
            files[name] = File(descriptor: descriptor, dependencies: dependencies)
            addSymbols(of: file, in: name)
        }
    }

    private mutating func addSymbols(of file: Grpc__Reflection__Index__File, in name: Name) {
        let package = file.package.name
        for service in pointees(file.service, file.n_service) {
            let service = (
                name: qualified(service.name, in: package), methods: pointees(service.method, service.n_method)
            )
            services.append("\(service.name)")
            fileOfSymbol[service.name] = name
            for method in service.methods { fileOfSymbol[qualified(method.name, in: service.name)] = name }
        }
        for type in pointees(file.message_type, file.n_message_type) { add(type, in: package, of: name) }
        for type in pointees(file.enum_type, file.n_enum_type) { add(type, in: package, of: name) }
        for field in pointees(file.extension, file.n_extension) { add(extension: field, in: package, of: name) }
    }

    private mutating func add(_ type: Grpc__Reflection__Index__Type, in scope: Name, of file: Name) {
        let typeName = qualified(type.name, in: scope)
        messages.insert(typeName)
        fileOfSymbol[typeName] = file
        for field in pointees(type.field, type.n_field) { fileOfSymbol[qualified(field.name, in: typeName)] = file }
        for oneof in pointees(type.oneof_decl, type.n_oneof_decl) {
            fileOfSymbol[qualified(oneof.name, in: typeName)] = file
        }
        for nested in pointees(type.nested_type, type.n_nested_type) { add(nested, in: typeName, of: file) }
        for nested in pointees(type.enum_type, type.n_enum_type) { add(nested, in: typeName, of: file) }
        for field in pointees(type.extension, type.n_extension) { add(extension: field, in: typeName, of: file) }
    }

    private mutating func add(_ type: Grpc__Reflection__Index__Enum, in scope: Name, of file: Name) {
        fileOfSymbol[qualified(type.name, in: scope)] = file
        // The values of an enum belong to the scope around it.
        for value in pointees(type.value, type.n_value) { fileOfSymbol[qualified(value.name, in: scope)] = file }
    }

    private mutating func add(extension field: Grpc__Reflection__Index__Field, in scope: Name, of file: Name) {
        fileOfSymbol[qualified(field.name, in: scope)] = file
        // A descriptor has absolute type names, with a leading dot.
        let extendee = Name(field.extendee.bytes.drop { $0 == UInt8(ascii: ".") })
        fileOfExtension[Extension(extendee: extendee, number: field.number)] = file
    }

    private func qualified(_ name: ProtobufCBinaryData, in scope: Name) -> Name {
        scope.bytes.isEmpty ? name.name : Name(scope.bytes + [UInt8(ascii: ".")] + name.bytes)
    }

    private func pointees<Value>(_ start: UnsafeMutablePointer<UnsafeMutablePointer<Value>?>?, _ count: Int) -> [Value]
    {
        UnsafeBufferPointer(start: start, count: count).compactMap { $0?.pointee }
    }
}

// MARK: - Queries

extension DescriptorIndex {
    /// The descriptor of a file and of all files that it depends on, directly or not; `nil` for an unknown file.
    func descriptors(ofFile name: Name) -> [[UInt8]]? {
        guard files[name] != nil else { return nil }
        var names = [name]
        var seen: Set<Name> = [name]
        var descriptors: [[UInt8]] = []
        while !names.isEmpty {
            guard let file = files[names.removeFirst()] else { continue }
            descriptors.append(file.descriptor)
            names += file.dependencies.filter { seen.insert($0).inserted }
        }
        return descriptors
    }

    /// Like ``descriptors(ofFile:)``, for the file that defines a symbol.
    func descriptors(ofSymbol name: Name) -> [[UInt8]]? {
        fileOfSymbol[name].flatMap { descriptors(ofFile: $0) }
    }

    /// Like ``descriptors(ofFile:)``, for the file that defines an extension.
    func descriptors(ofExtension number: Int32, of extendee: Name) -> [[UInt8]]? {
        fileOfExtension[Extension(extendee: extendee, number: number)].flatMap { descriptors(ofFile: $0) }
    }

    /// The numbers of a message's extensions, ascending; `nil` for an unknown message.
    func extensionNumbers(of message: Name) -> [Int32]? {
        guard messages.contains(message) else { return nil }
        return fileOfExtension.keys.filter { $0.extendee == message }.map(\.number).sorted()
    }
}
