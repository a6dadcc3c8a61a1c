internal import CProcess
import Glibc

/// What the system knows of this process, under the names that Prometheus's own libraries use.
package enum ProcessMetrics {
    private static let cpu = MetricFamily(
        "process_cpu_seconds_total",
        .counter,
        "Processor time that the process has used, in seconds."
    )
    private static let memory = MetricFamily(
        "process_resident_memory_bytes",
        .gauge,
        "Memory of the process that is in use, in bytes."
    )
    private static let allocatedMemory = MetricFamily(
        "process_allocated_memory_bytes",
        .gauge,
        "Memory that the process has allocated and not freed, in bytes."
    )
    private static let openFiles = MetricFamily("process_open_fds", .gauge, "Open file descriptors.")
    private static let maxFiles = MetricFamily("process_max_fds", .gauge, "The most file descriptors that may be open.")
    private static let start = MetricFamily(
        "process_start_time_seconds",
        .gauge,
        "When the process started, in seconds since 1970."
    )

    package static let families = [cpu, memory, allocatedMemory, openFiles, maxFiles, start]

    package static func register(in registry: MetricsRegistry) {
        let startTime = startTime
        registry.collect { samples in
            samples.add(cpu, cpuSeconds)
            if let bytes = residentBytes { samples.add(memory, bytes) }
            samples.add(allocatedMemory, allocatedBytes)
            if let count = openFileCount { samples.add(openFiles, count) }
            var limit = rlimit()
            if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
                samples.add(maxFiles, Double(limit.rlim_cur))
            }
            if let startTime { samples.add(start, startTime) }
        }
    }

    private static var cpuSeconds: Double {
        seconds(of: CLOCK_PROCESS_CPUTIME_ID)
    }

    private static var residentBytes: Int? {
        let fields = read("/proc/self/statm").split(separator: UInt8(ascii: " "))
        guard fields.count > 1, let pages = Int(String(decoding: fields[1], as: UTF8.self)) else { return nil }
        return pages * sysconf(Int32(_SC_PAGESIZE))
    }

    /// Without the freed memory that the allocator keeps. Grows only with a leak, or with what the program holds.
    private static var allocatedBytes: Int {
        let memory = mallinfo2()
        return memory.uordblks + memory.hblkhd
    }

    private static var openFileCount: Int? {
        guard let folder = opendir("/proc/self/fd") else { return nil }
        defer { closedir(folder) }
        var count = 0
        while readdir(folder) != nil { count += 1 }
        // Without `.`, `..` and the folder itself.
        return count - 3
    }

    /// In seconds since 1970.
    private static var startTime: Double? {
        // The second field, the program's name, may hold spaces. The fields after it begin with the third.
        let fields = read("/proc/self/stat").split(separator: UInt8(ascii: ")")).last?.split(
            separator: UInt8(ascii: " ")
        )
        guard let fields, fields.count > 19, let ticks = Double(String(decoding: fields[19], as: UTF8.self)) else {
            return nil
        }
        let sinceBoot = ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
        return seconds(of: CLOCK_REALTIME) - seconds(of: CLOCK_BOOTTIME) + sinceBoot
    }

    private static func seconds(of clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// A short file, or nothing.
    private static func read(_ path: String) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        return [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
            count = max(0, Glibc.read(file, buffer.baseAddress, buffer.count))
        }
    }
}
