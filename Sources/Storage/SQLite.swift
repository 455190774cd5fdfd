internal import CSQLite

/// One SQLite connection with its prepared statements; used by one thread. Every page that it reads was checked, else a
/// statement fails.
final class SQLite {
    struct Failure: Error {
        let message: String
        /// SQLite's result code; nil where what it gave makes no sense.
        var code: Int32?

        /// A full disk, a lock or missing memory: nothing is wrong with the file.
        var isPassing: Bool {
            guard let code else { return false }
            return [SQLITE_FULL, SQLITE_BUSY, SQLITE_LOCKED, SQLITE_NOMEM, SQLITE_CANTOPEN, SQLITE_READONLY].contains(
                code & 0xff)
        }

        var isNoSpace: Bool { code.map { $0 & 0xff } == SQLITE_FULL }
    }

    enum Value {
        case null
        case integer(Int64)
        case text(String)
        case blob([UInt8])
    }

    /// The columns of the current row.
    struct Row {
        fileprivate let statement: OpaquePointer

        func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(statement, column) }
        func isNull(_ column: Int32) -> Bool { sqlite3_column_type(statement, column) == SQLITE_NULL }
        func text(_ column: Int32) -> String {
            sqlite3_column_text(statement, column).map { String(cString: $0) } ?? ""
        }
        func blob(_ column: Int32) -> [UInt8] {
            let count = Int(sqlite3_column_bytes(statement, column))
            guard count > 0, let bytes = sqlite3_column_blob(statement, column) else { return [] }
            return Array(UnsafeRawBufferPointer(start: bytes, count: count))
        }
    }

    private let connection: OpaquePointer
    private var statements: [String: OpaquePointer] = [:]
    private var isClosed = false

    init(path: String) throws(Failure) {
        var connection: OpaquePointer?
        let code = qn_checked_open(path, &connection)
        guard code == SQLITE_OK, let connection else {
            let message = connection.map(Self.message) ?? "no memory"
            sqlite3_close_v2(connection)
            throw Failure(message: message, code: code)
        }
        self.connection = connection
        sqlite3_busy_timeout(connection, 2000)
    }

    deinit { close() }

    /// Ends the connection; no other call may follow.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        for statement in statements.values { sqlite3_finalize(statement) }
        sqlite3_close_v2(connection)
    }

    /// Runs statements without parameters or results.
    func execute(_ sql: String) throws(Failure) {
        guard sqlite3_exec(connection, sql, nil, nil, nil) == SQLITE_OK else { throw failure() }
    }

    /// Runs one statement and calls `body` for each row until it answers false.
    func query(_ sql: String, _ values: [Value] = [], _ body: (Row) -> Bool) throws(Failure) {
        let statement = try prepare(sql)
        defer {
            sqlite3_reset(statement)
            sqlite3_clear_bindings(statement)
        }
        for (index, value) in values.enumerated() { bind(value, to: statement, at: Int32(index + 1)) }
        while true {
            switch sqlite3_step(statement) {
            case SQLITE_ROW: if !body(Row(statement: statement)) { return }
            case SQLITE_DONE: return
            default: throw failure()
            }
        }
    }

    func run(_ sql: String, _ values: [Value] = []) throws(Failure) { try query(sql, values) { _ in true } }

    func integer(_ sql: String, _ values: [Value] = []) throws(Failure) -> Int64? {
        var result: Int64?
        try query(sql, values) { row in
            result = row.isNull(0) ? nil : row.integer(0)
            return false
        }
        return result
    }

    var changes: Int { Int(sqlite3_changes(connection)) }

    private func prepare(_ sql: String) throws(Failure) -> OpaquePointer {
        if let statement = statements[sql] { return statement }
        var statement: OpaquePointer?
        guard sqlite3_prepare_v3(connection, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil) == SQLITE_OK,
            let statement
        else { throw failure() }
        statements[sql] = statement
        return statement
    }

    private func bind(_ value: Value, to statement: OpaquePointer, at index: Int32) {
        // SQLITE_TRANSIENT: SQLite copies before the call returns.
        let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        switch value {
        case .null: sqlite3_bind_null(statement, index)
        case .integer(let number): sqlite3_bind_int64(statement, index, number)
        case .text(let text): sqlite3_bind_text(statement, index, text, -1, transient)
        case .blob(let bytes):
            if bytes.isEmpty {
                sqlite3_bind_zeroblob(statement, index, 0)
            } else {
                bytes.withUnsafeBytes {
                    _ = sqlite3_bind_blob(statement, index, $0.baseAddress, Int32($0.count), transient)
                }
            }
        }
    }

    private func failure() -> Failure {
        Failure(message: Self.message(connection), code: sqlite3_errcode(connection))
    }

    private static func message(_ connection: OpaquePointer) -> String {
        Int(sqlite3_extended_errcode(connection)) == QN_DAMAGED
            ? "a page is damaged" : String(cString: sqlite3_errmsg(connection))
    }
}
