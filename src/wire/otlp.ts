// OTLP's messages, which only a control plane with an OTLP sink needs: loaded by `loadOtlp`.
export * from './gen/otlp_common_pb.ts';
export * from './gen/otlp_logs_pb.ts';
export * from './gen/otlp_metrics_pb.ts';
export * from './gen/otlp_trace_pb.ts';
