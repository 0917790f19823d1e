import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import ElementPlus from 'unplugin-element-plus/vite'
import Components from 'unplugin-vue-components/vite'
import { ElementPlusResolver } from 'unplugin-vue-components/resolvers'
import { defineConfig } from 'vite'

const page = (name: string) => fileURLToPath(new URL(name, import.meta.url))

// One entry per page: the kiosk and the meeting room must not pay for the console's component kit.
export default defineConfig({
  plugins: [vue(), Components({ dts: false, dirs: [], resolvers: [ElementPlusResolver()] }), ElementPlus({})],
  define: {
    // Messages are compiled at run time by interpretation, never by new Function: the pages' CSP forbids eval.
    __INTLIFY_JIT_COMPILATION__: true,
    __INTLIFY_DROP_MESSAGE_COMPILER__: false,
    __VUE_I18N_LEGACY_API__: false,
    __VUE_I18N_FULL_INSTALL__: false,
    __INTLIFY_PROD_DEVTOOLS__: false,
  },
  build: {
    target: 'es2022',
    outDir: 'dist',
    // public/.gitkeep is copied into dist, so that go:embed finds the folder in a fresh clone; see web.go.
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 900,
    rollupOptions: {
      input: {
        index: page('index.html'),
        meeting: page('meeting.html'),
        kiosk: page('kiosk.html'),
        console: page('console.html'),
      },
    },
  },
  server: {
    proxy: Object.fromEntries(
      ['/api', '/ws', '/whip', '/whep', '/hls'].map((path) => [
        path,
        { target: process.env['TONGXIANG_SERVER'] ?? 'http://127.0.0.1:8080', ws: true },
      ]),
    ),
  },
})
