import '../style/base.css'
import './home.css'
import { createApp } from 'vue'
import { createPageI18n } from '../shared/i18n'
import App from './App.vue'
import en from './locales/en'
import zh from './locales/zh'

createApp(App).use(createPageI18n(zh, en)).mount('#app')
